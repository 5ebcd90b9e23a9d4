"""The pages: each is a script that Streamlit runs; modules with a leading underscore are shared by them."""
