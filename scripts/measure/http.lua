-- wrk: another request each time. The threads share the requests out between them; what is asked is read before the
-- clock runs. usage: wrk … -s http.lua URL -- REQUESTS.ndjson THREADS

local started = 0

function setup(thread)
  thread:set("number", started)
  started = started + 1
end

function init(args)
  local file, threads = args[1], tonumber(args[2])
  requests, nextone = {}, 0
  local line_number = 0
  for line in io.lines(file) do
    if line_number % threads == number then
      requests[#requests + 1] = wrk.format("POST", nil, { ["Content-Type"] = "application/fhir+json" }, line)
    end
    line_number = line_number + 1
  end
end

function request()
  nextone = nextone % #requests + 1
  return requests[nextone]
end

function done(summary, latency)
  local errors = summary.errors
  local seconds = summary.duration / 1e6
  io.write(string.format("requests %d in %.1f s: %.0f/s\n", summary.requests, seconds, summary.requests / seconds))
  io.write(string.format("latency ms: p50 %.2f, p90 %.2f, p99 %.2f, p99.9 %.2f, max %.2f\n", latency:percentile(50) / 1000,
    latency:percentile(90) / 1000, latency:percentile(99) / 1000, latency:percentile(99.9) / 1000, latency.max / 1000))
  io.write(string.format("answers that are not 2xx: %d; connections: %d not made, %d reading, %d writing, %d timeouts\n",
    errors.status, errors.connect, errors.read, errors.write, errors.timeout))
end
