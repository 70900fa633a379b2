-- wrk: another request each time. The threads share the requests out between them; what is asked is read before the
-- clock runs. A line is METHOD, path and body, with tabs between them.
-- usage: wrk … -s http.lua URL -- REQUESTS THREADS [OPERATIONS]     OPERATIONS of one thread end the run before its time

local threads = {}

function setup(thread)
  thread:set("number", #threads)
  thread:set("faults", 0)
  threads[#threads + 1] = thread
end

function init(args)
  local file, count, operations = args[1], tonumber(args[2]), tonumber(args[3])
  requests, nextone, left = {}, 0, operations
  local line_number = 0
  for line in io.lines(file) do
    if line_number % count == number then
      local method, path, body = line:match("^(%u+)\t([^\t]*)\t(.*)$")
      local headers = {}
      for name, value in pairs(wrk.headers) do
        headers[name] = value
      end
      if #body > 0 then
        local is_form = path:sub(1, 7) == "/oauth/"
        headers["Content-Type"] = is_form and "application/x-www-form-urlencoded" or "application/fhir+json"
      end
      requests[#requests + 1] = wrk.format(method, path, headers, #body > 0 and body or nil)
    end
    line_number = line_number + 1
  end
  if not left then
    response = nil
  end
end

function request()
  nextone = nextone % #requests + 1
  return requests[nextone]
end

-- Only where operations are counted: it costs wrk time of its own.
function response(status)
  if status >= 500 then
    faults = faults + 1
  end
  left = left - 1
  if left == 0 then
    -- As if interrupted: wrk itself knows only durations. A moment later, for `execute` ignores interrupts meanwhile.
    os.execute("(sleep 0.1; kill -INT $PPID) &")
  end
end

function done(summary, latency)
  local errors, faults = summary.errors, 0
  for _, thread in ipairs(threads) do
    faults = faults + thread:get("faults")
  end
  local seconds = summary.duration / 1e6
  io.write(string.format("requests %d in %.1f s: %.0f/s\n", summary.requests, seconds, summary.requests / seconds))
  io.write(string.format("latency ms: p50 %.2f, p90 %.2f, p99 %.2f, p99.9 %.2f, max %.2f\n", latency:percentile(50) / 1000,
    latency:percentile(90) / 1000, latency:percentile(99) / 1000, latency:percentile(99.9) / 1000, latency.max / 1000))
  io.write(string.format("answers that are not 2xx: %d; 5xx where counted: %d; connections: %d not made, %d reading, %d writing, %d timeouts\n",
    errors.status, faults, errors.connect, errors.read, errors.write, errors.timeout))
end
