(() => {
  const all = [...document.querySelectorAll(".slide")];
  const show = (number) => {
    const now = Math.max(0, Math.min(all.length - 1, number));
    all.forEach((slide, place) => slide.classList.toggle("now", place === now));
    history.replaceState(null, "", `#${now + 1}`);
    return now;
  };
  document.querySelector(".slides").classList.add("turning");
  let now = show(Number(location.hash.slice(1)) - 1 || 0);
  const fill = () => (document.fullscreenElement ? document.exitFullscreen() : document.documentElement.requestFullscreen());
  const keys = {
    ArrowRight: () => show(now + 1), ArrowDown: () => show(now + 1), PageDown: () => show(now + 1), " ": () => show(now + 1),
    ArrowLeft: () => show(now - 1), ArrowUp: () => show(now - 1), PageUp: () => show(now - 1),
    Home: () => show(0), End: () => show(all.length),
  };
  addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key === "f" || event.key === "F") { fill(); return; }
    if (keys[event.key]) { event.preventDefault(); now = keys[event.key](); }
  });
  addEventListener("click", (event) => { now = show(event.clientX < innerWidth / 4 ? now - 1 : now + 1); });
})();
