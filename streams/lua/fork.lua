-- Marks a partition as having lost what somebody saw. It takes no appends until it was repaired.
--
-- KEYS[1] {p}:meta
-- ARGV[1] log id   ARGV[2] epoch of who saw it   ARGV[3] the highest sequence that was seen
--
-- Returns 1, or 0 where there is nothing to mark: this is another log, or it was repaired since.

local meta = redis.call('HMGET', KEYS[1], 'id', 'epoch', 'forked')
if meta[1] ~= ARGV[1] or tonumber(meta[2]) > tonumber(ARGV[2]) then return 0 end
local most = ARGV[3]
if meta[3] and tonumber(meta[3]) > tonumber(most) then most = meta[3] end
redis.call('HSET', KEYS[1], 'forked', most, 'complete', '0')
return 1
