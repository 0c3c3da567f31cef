#!/bin/sh
# Start MLflow with accounts. The account database's address holds a secret, so its file lies in memory, for this user only.
set -eu
umask 077

: "${POSTGRES_PASSWORD:?}" "${MLFLOW_AUTH_ADMIN_USERNAME:?}" "${MLFLOW_AUTH_ADMIN_PASSWORD:?}" "${MLFLOW_FLASK_SERVER_SECRET_KEY:?}"
case "$POSTGRES_PASSWORD" in
    *[!A-Za-z0-9_-]*) echo "POSTGRES_PASSWORD: use letters, digits, - and _ only (it becomes part of an address)" >&2; exit 2 ;;
esac

server="postgresql+psycopg://mlflow:${POSTGRES_PASSWORD}@${POSTGRES_HOST:-postgres}:5432"
export MLFLOW_AUTH_CONFIG_PATH="${TMPDIR:-/tmp}/accounts.ini"
cat > "$MLFLOW_AUTH_CONFIG_PATH" <<END
[mlflow]
default_permission = NO_PERMISSIONS
database_uri = ${server}/mlflow_accounts
authorization_function = mlflow.server.auth:authenticate_request_basic_auth
# A changed password may work up to a minute longer; without this, every request costs a slow password check.
auth_cache_ttl_seconds = 60
END

# By the environment, not the command line, which every process of the machine may read.
export MLFLOW_BACKEND_STORE_URI="${server}/mlflow"
exec mlflow server \
    --app-name basic-auth \
    --host 0.0.0.0 --port "${MLFLOW_SERVER_PORT:-5000}" --workers 2 \
    --artifacts-destination "$MLFLOW_ARTIFACTS" \
    --allowed-hosts "$MLFLOW_ALLOWED_HOSTS" \
    --cors-allowed-origins "$MLFLOW_CORS_ORIGINS" \
    --x-frame-options DENY
