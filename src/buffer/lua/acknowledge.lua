-- Clears entries of one entity and shard whose stored version is still the newest; keeps those written meanwhile.
--
-- Effect, an entry: version unchanged -> it leaves its bucket, the pending index and the counters, its failure record
-- (if any) moves to the resolved list, and a document may stay as warm copy with a TTL. Version changed -> it stays
-- dirty, and only its writes after the stored version count from now on. Doing it twice changes nothing.
-- KEYS: 1 counters, 2 dirty, 3 failed, 4 resolved, then those that the packed entries refer to by position
-- ARGV: 1 entity, 2 resolution of failure records, 3 prefix of warm copies, 4 prefix of relations, 5 TTL of warm
--   copies in s (0 none), 6 is sheet (0/1), 7 packed (src/buffer/byte-writer.ts), a bucket after another:
--   position of the bucket, bucket, number of entries, then field, version, writes, key, number of relations and
--   their `column:value` for each. Keys made of a prefix lie in the same slot as KEYS.
-- Returns {documents and fields cleared, children waiting for some parent in this shard}

if redis.replicate_commands then redis.replicate_commands() end
-- A full Redis refuses a script whose first write may need memory, and lets one finish that has begun to write.
redis.call('ZREM', KEYS[2], '')

local entity, resolution, warm_prefix, relation_prefix, warm_ttl = ARGV[1], ARGV[2], ARGV[3], ARGV[4], tonumber(ARGV[5])
local is_sheet, packed, at = ARGV[6] == '1', ARGV[7], 1
local cleared, raw, stored = 0, 0, 0
local released = {}
-- Commands that take fields out of relations: one a relation, which many documents of a batch share.
local unlisted = {}

local function resolve(key)
  local record = redis.call('HGET', KEYS[3], key)
  if not record then return end
  local now = redis.call('TIME')
  redis.call('LPUSH', KEYS[4], resolved_record(record, resolution, now[1] * 1000 + math.floor(now[2] / 1000)))
  redis.call('LTRIM', KEYS[4], 0, 999)
  redis.call('HDEL', KEYS[3], key)
end

while at <= #packed do
  local bucket_at, bucket, count
  bucket_at, bucket, count, at = struct.unpack('>I2I2c0I2', packed, at)
  local bucket_key = KEYS[bucket_at]
  local acks, fields, relations, was_parked = {}, {}, {}, false
  for i = 1, count do
    local ack, relation_count = {}, nil
    ack.field, ack.version, ack.writes, ack.key, relation_count, at = struct.unpack('>I2c0dI2I2c0B', packed, at)
    ack.relations = {}
    for r = 1, relation_count do
      local name
      name, at = struct.unpack('>I2c0', packed, at)
      ack.relations[r] = relation_prefix .. name
      relations[ack.relations[r]] = true
    end
    acks[i], fields[i] = ack, ack.field
  end
  local entries = redis.call('HMGET', bucket_key, unpack(fields))
  local gone = { 'HDEL', bucket_key }
  for i, ack in ipairs(acks) do
    local entry = entries[i]
    if entry then
      local newest = read_version(entry)
      if newest == ack.version then
        gone[#gone + 1] = ack.field
        cleared = cleared + read_documents(entry)
        raw = raw + read_raw_bytes(entry)
        stored = stored + #entry
        local state = read_state(entry)
        if state == 2 then released[ack.key] = true end
        if is_sheet then
          if state ~= 0 then was_parked = true end
        else
          for _, relation in ipairs(ack.relations) do
            local command = unlisted[relation] or { 'HDEL', relation }
            command[#command + 1] = ack.field
            unlisted[relation] = command
          end
          if state ~= 0 then resolve(ack.key) end
          local warm = warm_prefix .. bucket .. ':' .. ack.field
          if warm_ttl == 0 or string.byte(entry, 1) % 2 == 1 then
            -- nobody reads a bundle by its key
            if not is_bundle(entry) then redis.call('DEL', warm) end
          else
            redis.call('SET', warm, entry, 'EX', warm_ttl)
          end
        end
      elseif newest > ack.version then
        local age = math.floor((newest - ack.version) / 1000000)
        local rest = math.max(read_writes(entry) - ack.writes, 1)
        redis.call('HSET', bucket_key, ack.field,
          string.sub(entry, 1, 11) .. struct.pack('>I3I2', math.min(age, 16777215), rest) .. string.sub(entry, 17))
      end
    end
  end
  -- A whole bucket goes in one step; taking fields out of a compact hash moves its rest each time.
  local is_empty = #gone - 2 == redis.call('HLEN', bucket_key)
  if is_empty then
    redis.call('DEL', bucket_key)
  elseif #gone > 2 then
    redis.call(unpack(gone))
  end
  if is_empty then
    redis.call('ZREM', KEYS[2], bucket)
    if is_sheet then
      for relation in pairs(relations) do redis.call('HDEL', relation, bucket) end
      if was_parked then resolve(bucket) end
    end
  else
    reindex_bucket(bucket_key, KEYS[2], bucket)
  end
end

for _, command in pairs(unlisted) do redis.call(unpack(command)) end
for _ in pairs(released) do redis.call('HINCRBY', KEYS[1], 'waiting', -1) end
if cleared > 0 then
  redis.call('HINCRBY', KEYS[1], entity .. ':entries', -cleared)
  redis.call('HINCRBY', KEYS[1], entity .. ':raw', -raw)
  redis.call('HINCRBY', KEYS[1], entity .. ':stored', -stored)
  redis.call('HINCRBY', KEYS[1], entity .. ':epoch', 1)
end
return { cleared, tonumber(redis.call('HGET', KEYS[1], 'waiting') or '0') }
