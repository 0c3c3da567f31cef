-- Accounts lie in a database of their own.
CREATE DATABASE mlflow_accounts OWNER mlflow;
REVOKE ALL ON DATABASE mlflow FROM PUBLIC;
REVOKE ALL ON DATABASE mlflow_accounts FROM PUBLIC;
