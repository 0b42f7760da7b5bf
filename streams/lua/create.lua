-- Creates one partition of a log, or finds that it exists.
--
-- KEYS[1] {p}:meta
-- ARGV[1] log id   ARGV[2] key, in hexadecimal   ARGV[3] number of partitions   ARGV[4] epoch
--
-- Returns the log id that the partition holds afterwards: another one than ARGV[1] where it belongs to another log.

local id = redis.call('HGET', KEYS[1], 'id')
if id then return id end
redis.call('HSET', KEYS[1], 'id', ARGV[1], 'key', ARGV[2], 'partitions', ARGV[3], 'epoch', ARGV[4], 'seq', '0', 'complete', '1')
return ARGV[1]
