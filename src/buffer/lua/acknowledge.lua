-- Clears entries of one entity and shard whose stored version is still the newest; keeps those written meanwhile.
--
-- Effect, an entry: version unchanged -> it leaves its bucket, the pending index and the counters, its failure record
-- (if any) moves to the resolved list, and a document may stay as warm copy with a TTL. Version changed -> it stays
-- dirty, and only its writes after the stored version count from now on. Doing it twice changes nothing.
-- KEYS: 1 counters, 2 dirty, 3 failed, 4 resolved, then those that ARGV refers to by position
-- ARGV: entity, resolution of failure records, then a run of words a bucket
--   bucket key (position), bucket, is sheet (0/1), number of entries, then for each
--   field, version, writes, key, warm key (position, 0 none), warm TTL in s, number of relations, their positions
-- Returns {entries cleared, children waiting for some parent in this shard}

if redis.replicate_commands then redis.replicate_commands() end

local entity, resolution = ARGV[1], ARGV[2]
local at = 3
local function take()
  local word = ARGV[at]
  at = at + 1
  return word
end

local cleared, raw, stored = 0, 0, 0
local released = {}

local function resolve(key)
  local record = redis.call('HGET', KEYS[3], key)
  if not record then return end
  local failure = cjson.decode(record)
  local now = redis.call('TIME')
  failure.resolution = resolution
  failure.resolvedAtMs = now[1] * 1000 + math.floor(now[2] / 1000)
  redis.call('LPUSH', KEYS[4], cjson.encode(failure))
  redis.call('LTRIM', KEYS[4], 0, 999)
  redis.call('HDEL', KEYS[3], key)
end

while at <= #ARGV do
  local bucket_key, bucket, is_sheet = KEYS[tonumber(take())], take(), take() == '1'
  local relations, key, was_parked = {}, nil, false
  for _ = 1, tonumber(take()) do
    local field, version, writes = take(), tonumber(take()), tonumber(take())
    key = take()
    local warm, ttl = tonumber(take()), take()
    relations = {}
    for i = 1, tonumber(take()) do relations[i] = KEYS[tonumber(take())] end
    local entry = redis.call('HGET', bucket_key, field)
    if entry then
      local newest = read_version(entry)
      if newest == version then
        redis.call('HDEL', bucket_key, field)
        cleared = cleared + 1
        raw = raw + read_raw_bytes(entry)
        stored = stored + #entry
        if read_state(entry) ~= 0 then was_parked = true end
        if read_state(entry) == 2 then released[key] = true end
        if not is_sheet then
          for _, relation in ipairs(relations) do redis.call('HDEL', relation, field) end
          if was_parked then resolve(key) end
          was_parked = false
          if warm > 0 then
            if string.byte(entry, 1) % 2 == 1 or ttl == '0' then
              redis.call('DEL', KEYS[warm])
            else
              redis.call('SET', KEYS[warm], entry, 'EX', ttl)
            end
          end
        end
      elseif newest > version then
        local age = math.floor((newest - version) / 1000000)
        local rest = math.max(read_writes(entry) - writes, 1)
        redis.call('HSET', bucket_key, field,
          string.sub(entry, 1, 11) .. struct.pack('>I3I2', math.min(age, 16777215), rest) .. string.sub(entry, 17))
      end
    end
  end
  if redis.call('EXISTS', bucket_key) == 0 then
    redis.call('ZREM', KEYS[2], bucket)
    if is_sheet then
      for _, relation in ipairs(relations) do redis.call('HDEL', relation, bucket) end
      if was_parked then resolve(bucket) end
    end
  else
    reindex_bucket(bucket_key, KEYS[2], bucket)
  end
end

for _ in pairs(released) do redis.call('HINCRBY', KEYS[1], 'waiting', -1) end
if cleared > 0 then
  redis.call('HINCRBY', KEYS[1], entity .. ':entries', -cleared)
  redis.call('HINCRBY', KEYS[1], entity .. ':raw', -raw)
  redis.call('HINCRBY', KEYS[1], entity .. ':stored', -stored)
  redis.call('HINCRBY', KEYS[1], entity .. ':epoch', 1)
end
return { cleared, tonumber(redis.call('HGET', KEYS[1], 'waiting') or '0') }
