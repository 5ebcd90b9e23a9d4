FROM python:3.11-slim
RUN useradd --create-home studio && mkdir --mode=700 /data && chown studio /data
WORKDIR /opt/studio
COPY requirements.txt ./
RUN pip install --no-cache-dir --extra-index-url https://download.pytorch.org/whl/cpu -r requirements.txt
COPY . .
USER studio
ENV STUDIO_HOME=/data
VOLUME /data
EXPOSE 8501
HEALTHCHECK --start-period=60s CMD ["python", "-c", "import os, urllib.request; base = os.environ.get('STREAMLIT_SERVER_BASE_URL_PATH', '').strip('/'); urllib.request.urlopen('/'.join(filter(None, ['http://127.0.0.1:8501', base, '_stcore/health'])))"]
CMD ["python", "-m", "studio", "serve", "--address", "0.0.0.0"]
