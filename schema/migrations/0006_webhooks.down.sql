DROP TABLE IF EXISTS dead_letters;
DROP TABLE IF EXISTS webhook_checkpoints;
DROP TABLE IF EXISTS webhooks;
