-- Says how far a process had seen a closed partition, and opens it where that was the last one to say so.
--
-- KEYS[1] {p}:meta   KEYS[2] {p}:seen: process life, the highest sequence that it had seen when the server began to run
-- ARGV[1] log id   ARGV[2] epoch   ARGV[3] the server's run id   ARGV[4] process life   ARGV[5] the highest sequence that it has seen
-- ARGV[6…] those who have to say it before the partition opens
--
-- Returns opened; forked and how far somebody had seen it, where that is more than there is; asking and who has not said it yet; or why there is nothing to
-- say: open already, repairing, or other where this is another log, epoch or run.

local call = redis.call
local meta = call('HMGET', KEYS[1], 'id', 'epoch', 'run', 'complete', 'seq', 'forked', 'repairing')
if meta[1] ~= ARGV[1] or meta[2] ~= ARGV[2] or meta[3] ~= ARGV[3] then return { 'other' } end
if meta[4] == '1' then return { 'open' } end
if meta[7] then return { 'repairing' } end
if meta[6] then
  -- What is not above the counter may be of what was appended since.
  if tonumber(ARGV[5]) > tonumber(meta[6]) and tonumber(ARGV[5]) > tonumber(meta[5]) then
    meta[6] = ARGV[5]
    call('HSET', KEYS[1], 'forked', ARGV[5])
  end
  return { 'forked', meta[6] }
end

call('HSET', KEYS[2], ARGV[4], ARGV[5])
local said, most = {}, '0'
local all = call('HGETALL', KEYS[2])
for i = 1, #all, 2 do
  said[all[i]] = true
  if tonumber(all[i + 1]) > tonumber(most) then most = all[i + 1] end
end
if tonumber(most) > tonumber(meta[5]) then
  call('HSET', KEYS[1], 'forked', most)
  return { 'forked', most }
end
local missing = { 'asking' }
for i = 6, #ARGV do
  if not said[ARGV[i]] then missing[#missing + 1] = ARGV[i] end
end
if #missing > 1 then return missing end
call('HSET', KEYS[1], 'opened', meta[5], 'complete', '1')
return { 'opened' }
