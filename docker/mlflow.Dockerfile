FROM python:3.11-slim

# The versions the clients use; the server needs neither TensorFlow nor Keras.
RUN pip install --no-cache-dir "mlflow[auth]==3.17.2" "psycopg[binary]>=3.2,<4" "boto3>=1.35,<2" "sqlalchemy>=2.0,<2.1" "fastapi>=0.139,<0.151" \
    && useradd --uid 10001 --create-home mlflow \
    && install --directory --owner=mlflow --mode=0700 /artifacts
COPY --chmod=0555 start-mlflow.sh /usr/local/bin/start-mlflow

USER mlflow
WORKDIR /tmp
ENV HOME=/tmp \
    PYTHONDONTWRITEBYTECODE=1 \
    MLFLOW_DISABLE_TELEMETRY=true \
    DO_NOT_TRACK=true \
    MLFLOW_ALLOW_PICKLE_DESERIALIZATION=false \
    MLFLOW_SERVER_ENABLE_JOB_EXECUTION=false
EXPOSE 5000
CMD ["start-mlflow"]
