-- Closes one partition because the server runs anew: it opens when all who are alive have said how far they had seen it.
--
-- KEYS[1] {p}:meta   KEYS[2] {p}:seen
-- ARGV[1] log id   ARGV[2] the server's run id
--
-- Returns 1, or 0 where there was nothing to close: it was done in this run, or this is another log. A repair that is due wants to
-- know where the branches parted, so `parted` keeps where the partition was opened in the run that was marked as forked.

local meta = redis.call('HMGET', KEYS[1], 'id', 'run', 'forked', 'opened', 'parted')
if meta[1] ~= ARGV[1] or meta[2] == ARGV[2] then return 0 end
if meta[3] and meta[4] and not meta[5] then redis.call('HSET', KEYS[1], 'parted', meta[4]) end
redis.call('HSET', KEYS[1], 'run', ARGV[2], 'complete', '0')
redis.call('HDEL', KEYS[1], 'opened')
redis.call('DEL', KEYS[2])
return 1
