-- Shared by all scripts; the layout is src/buffer/header.ts.
-- Versions need 51 bits: a Lua number holds them exactly.
local HEADER_BYTES = 19

-- A damaged entry too short for a header counts as dirty with version 0: it is fetched, set aside and shown.
local function is_damaged(entry)
  return #entry < HEADER_BYTES
end

local function read_version(entry)
  if is_damaged(entry) then return 0 end
  local high, low = struct.unpack('>BI6', string.sub(entry, 5, 11))
  return high * 281474976710656 + low
end

local function read_state(entry)
  if #entry == 0 then return 0 end
  return math.floor(string.byte(entry, 1) / 2) % 4
end

local function with_flags_state(bytes, state)
  local flags = string.byte(bytes, 1)
  local rest = flags - (math.floor(flags / 2) % 4) * 2
  return string.char(rest + state * 2) .. string.sub(bytes, 2)
end

local function with_state(entry, state)
  if is_damaged(entry) then entry = entry .. string.rep('\0', HEADER_BYTES - #entry) end
  return with_flags_state(entry, state)
end

-- A failure record with its end. Written as text: cjson would round its versions to 14 digits.
local function resolved_record(record, resolution, at_ms, superseded_by)
  local tail = string.format(',"resolution":%s,"resolvedAtMs":%.0f', cjson.encode(resolution), at_ms)
  if superseded_by then tail = tail .. string.format(',"supersededBy":%.0f', superseded_by) end
  return string.sub(record, 1, -2) .. tail .. '}'
end

local function first_write_ms(entry)
  if is_damaged(entry) then return 0 end
  return math.floor(read_version(entry) / 1000) - struct.unpack('>I3', string.sub(entry, 12, 14)) * 1000
end

local function read_writes(entry)
  if is_damaged(entry) then return 1 end
  return (struct.unpack('>I2', string.sub(entry, 15, 16)))
end

local function is_bundle(bytes)
  return #bytes > 0 and string.byte(bytes, 1) >= 128
end

-- Documents in an entry: more than one in a bundle only (src/buffer/bundle.ts)
local function read_documents(entry)
  return is_bundle(entry) and read_writes(entry) or 1
end

local function read_raw_bytes(entry)
  if is_damaged(entry) then return 0 end
  return (struct.unpack('>I3', string.sub(entry, 17, 19)))
end

-- prefix is flags and format; the rest of the header is made here, where the version is known
local function write_entry(prefix, version, age_seconds, writes, raw_bytes, payload)
  local high = math.floor(version / 281474976710656)
  return prefix
    .. struct.pack('>BI6', high, version - high * 281474976710656)
    .. struct.pack('>I3I2I3', math.min(age_seconds, 16777215), math.min(writes, 65535), raw_bytes)
    .. payload
end

-- After entries left a bucket: its score is the oldest dirty first write, or it leaves the index.
local function reindex_bucket(bucket_key, dirty_key, bucket)
  local oldest = nil
  for _, entry in ipairs(redis.call('HVALS', bucket_key)) do
    if read_state(entry) == 0 then
      local first = first_write_ms(entry)
      if oldest == nil or first < oldest then oldest = first end
    end
  end
  if oldest == nil then
    redis.call('ZREM', dirty_key, bucket)
  else
    redis.call('ZADD', dirty_key, oldest, bucket)
  end
end
