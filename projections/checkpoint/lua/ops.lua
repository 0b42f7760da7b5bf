-- The writes that step.lua and guarded.lua take. Each stands in ARGV as: a command, the index of its key in KEYS, the
-- number of its arguments, the arguments. A command is one of Redis that has its key first, or one of those below. None of
-- them depends on how often it is run.
local special = {}

-- MERGE field (order value)…: the field holds pairs of numbers, "order value order value …". Each pair is replaced where
-- the new order is higher.
function special.MERGE(key, first, last)
  local kept = redis.call('HGET', key, ARGV[first])
  local numbers, changed = {}, not kept
  for n in string.gmatch(kept or '', '%d+') do
    numbers[#numbers + 1] = n
  end
  for i = first + 1, last, 2 do
    local at = i - first
    if tonumber(ARGV[i]) > tonumber(numbers[at] or '0') then
      numbers[at], numbers[at + 1], changed = ARGV[i], ARGV[i + 1], true
    elseif not numbers[at] then
      numbers[at], numbers[at + 1] = '0', '0'
    end
  end
  if changed then
    redis.call('HSET', key, ARGV[first], table.concat(numbers, ' '))
  end
end

-- NEWER field order rest: the field holds "order rest", replaced where the new order is higher.
function special.NEWER(key, first)
  local kept = redis.call('HGET', key, ARGV[first])
  if not kept or tonumber(string.match(kept, '^%d+')) < tonumber(ARGV[first + 1]) then
    redis.call('HSET', key, ARGV[first], ARGV[first + 1] .. ' ' .. ARGV[first + 2])
  end
end

-- MARK field name number limit: the field holds "name number name number …" in the order of the names. The name's number
-- is raised. Of more than limit names, the one with the lowest number goes, but never the one that was given.
function special.MARK(key, first)
  local given, number, limit = ARGV[first + 1], tonumber(ARGV[first + 2]), tonumber(ARGV[first + 3])
  local marks, found = {}, false
  for name, n in string.gmatch(redis.call('HGET', key, ARGV[first]) or '', '(%S+) (%d+)') do
    if name == given then
      if tonumber(n) >= number then
        return
      end
      n, found = ARGV[first + 2], true
    end
    marks[#marks + 1] = {name, n}
  end
  if not found then
    marks[#marks + 1] = {given, ARGV[first + 2]}
    table.sort(marks, function(a, b) return a[1] < b[1] end)
  end
  if #marks > limit then
    local lowest
    for i, mark in ipairs(marks) do
      if mark[1] ~= given and (not lowest or tonumber(mark[2]) < tonumber(marks[lowest][2])) then
        lowest = i
      end
    end
    table.remove(marks, lowest)
  end
  local words = {}
  for _, mark in ipairs(marks) do
    words[#words + 1] = mark[1] .. ' ' .. mark[2]
  end
  redis.call('HSET', key, ARGV[first], table.concat(words, ' '))
end

-- INSERT field limit number…: the field holds ascending numbers, of which the highest limit are kept. Those given are
-- ascending too; the ones above the last are added.
function special.INSERT(key, first, last)
  local numbers, limit = {}, tonumber(ARGV[first + 1])
  for n in string.gmatch(redis.call('HGET', key, ARGV[first]) or '', '%d+') do
    numbers[#numbers + 1] = n
  end
  for i = first + 2, last do
    if tonumber(ARGV[i]) > tonumber(numbers[#numbers] or '0') then
      numbers[#numbers + 1] = ARGV[i]
    end
  end
  redis.call('HSET', key, ARGV[first], table.concat(numbers, ' ', math.max(1, #numbers - limit + 1)))
end

-- CUT field number: of the numbers that INSERT keeps, those up to this one go.
function special.CUT(key, first)
  local kept = redis.call('HGET', key, ARGV[first])
  if not kept then
    return
  end
  local numbers, bound = {}, tonumber(ARGV[first + 1])
  for n in string.gmatch(kept, '%d+') do
    if tonumber(n) > bound then
      numbers[#numbers + 1] = n
    end
  end
  if #numbers == 0 then
    redis.call('HDEL', key, ARGV[first])
  else
    redis.call('HSET', key, ARGV[first], table.concat(numbers, ' '))
  end
end

-- TALLY field own number changed word on: the field counts words for the highest number given, "number changed word count
-- word count …" in the order in which the words came first, and own holds "number word word …", one counter's words. The
-- word is counted once for each own field, and with on = 0 no more. Changed is raised whenever a count changes.
function special.TALLY(key, first)
  local field, own, word = ARGV[first], ARGV[first + 1], ARGV[first + 4]
  local counts, mine = {}, {}
  for w in string.gmatch(redis.call('HGET', key, field) or '', '%S+') do
    counts[#counts + 1] = w
  end
  if tonumber(counts[1] or '0') > tonumber(ARGV[first + 2]) then
    return
  end
  if counts[1] ~= ARGV[first + 2] then
    counts = {ARGV[first + 2], '0'}
  end
  for w in string.gmatch(redis.call('HGET', key, own) or '', '%S+') do
    mine[#mine + 1] = w
  end
  if mine[1] ~= ARGV[first + 2] then
    mine = {ARGV[first + 2]}
  end
  local at, place = nil, nil
  for i = 2, #mine do
    at = mine[i] == word and i or at
  end
  for i = 3, #counts, 2 do
    place = counts[i] == word and i or place
  end
  if (at ~= nil) == (ARGV[first + 5] == '1') then
    return
  end
  if at then
    table.remove(mine, at)
    counts[place + 1] = string.format('%.0f', tonumber(counts[place + 1]) - 1)
    if counts[place + 1] == '0' then
      table.remove(counts, place + 1)
      table.remove(counts, place)
    end
  else
    mine[#mine + 1] = word
    if not place then
      place = #counts + 1
      counts[place], counts[place + 1] = word, '0'
    end
    counts[place + 1] = string.format('%.0f', tonumber(counts[place + 1]) + 1)
  end
  if tonumber(counts[2]) < tonumber(ARGV[first + 3]) then
    counts[2] = ARGV[first + 3]
  end
  redis.call('HSET', key, field, table.concat(counts, ' '))
  if #mine == 1 then
    redis.call('HDEL', key, own)
  else
    redis.call('HSET', key, own, table.concat(mine, ' '))
  end
end

-- PUT limit number element…: the key is a list whose elements begin with consecutive numbers. Those given begin with
-- consecutive ones too, from number. They replace the elements that have their numbers and go behind the last; where they
-- do not join up with it, the list begins anew with them. It keeps the last limit.
function special.PUT(key, first, last)
  local number, from, length = tonumber(ARGV[first + 1]), first + 2, 0
  local newest = redis.call('LINDEX', key, -1)
  if newest then
    local behind = tonumber(string.match(newest, '^%d+')) + 1
    if number > behind then
      redis.call('DEL', key)
    elseif number < behind then
      length = redis.call('LLEN', key)
      while from <= last and number < behind do
        if length + number - behind >= 0 then
          redis.call('LSET', key, number - behind, ARGV[from])
        end
        from, number = from + 1, number + 1
      end
    end
  end
  for i = from, last, 1000 do
    length = redis.call('RPUSH', key, unpack(ARGV, i, math.min(i + 999, last)))
  end
  if length > tonumber(ARGV[first]) then
    redis.call('LTRIM', key, -tonumber(ARGV[first]), -1)
  end
end

-- run does the write that begins in ARGV at i, and returns where the next one begins.
local function run(i)
  local command, key, count = ARGV[i], KEYS[tonumber(ARGV[i + 1])], tonumber(ARGV[i + 2])
  local first, last = i + 3, i + 2 + count
  if special[command] then
    special[command](key, first, last)
  else
    redis.call(command, key, unpack(ARGV, first, last))
  end
  return last + 1
end
