package telemetry_test

import (
	"bytes"
	"encoding/json"
	"log/slog"
	"net/http"
	"testing"

	"github.com/geminivideo/geminivideo/shared/telemetry"
)

const id = "0af7651916cd43dd8448eb211c80319c"

func TestATraceIsReadFromEitherHeader(t *testing.T) {
	t.Parallel()
	for header, want := range map[string]telemetry.Trace{
		"traceparent: 00-" + id + "-b7ad6b7169203331-01":            {ID: id, Span: "b7ad6b7169203331", Sampled: true},
		"traceparent: 00-" + id + "-b7ad6b7169203331-00":            {ID: id, Span: "b7ad6b7169203331"},
		"traceparent: 00-" + id + "-b7ad6b7169203331":               {},
		"traceparent: nonsense":                                     {},
		"X-Cloud-Trace-Context: " + id + "/255;o=1":                 {ID: id, Span: "00000000000000ff", Sampled: true},
		"X-Cloud-Trace-Context: " + id:                              {ID: id},
		"X-Cloud-Trace-Context: " + id + "/99999999999999999999999": {ID: id},
		"X-Cloud-Trace-Context: 0AF7651916CD43DD8448EB211C80319C/1": {ID: id, Span: "0000000000000001"},
		"X-Cloud-Trace-Context: short/1":                            {},
	} {
		name, value, _ := bytes.Cut([]byte(header), []byte(": "))
		h := http.Header{}
		h.Set(string(name), string(value))
		if got := telemetry.TraceFrom(h); got != want {
			t.Errorf("%s: %+v, want %+v", header, got, want)
		}
	}
}

func TestALineHasTheNamesThatCloudLoggingKnows(t *testing.T) {
	t.Parallel()
	for level, severity := range map[slog.Level]string{slog.LevelInfo: "INFO", slog.LevelWarn: "WARNING", slog.LevelError: "ERROR"} {
		var out bytes.Buffer
		ctx := telemetry.WithTrace(t.Context(), telemetry.Trace{ID: id, Span: "00000000000000ff"})
		telemetry.NewLogger(&out, "proj").With("a", 1).Log(ctx, level, "hello", slog.Group("g", "level", "inside", "msg", "too"))
		line := map[string]any{}
		if err := json.Unmarshal(out.Bytes(), &line); err != nil {
			t.Fatal(err)
		}
		g, _ := line["g"].(map[string]any)
		if line["severity"] != severity || line["message"] != "hello" || line["a"] != 1.0 || line["logging.googleapis.com/spanId"] != "00000000000000ff" ||
			line["logging.googleapis.com/trace"] != "projects/proj/traces/"+id || g["level"] != "inside" || g["msg"] != "too" {
			t.Errorf("%s", out.Bytes())
		}
	}
}

func TestALineWithoutATraceNamesNone(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	telemetry.NewLogger(&out, "").InfoContext(t.Context(), "hello")
	if bytes.Contains(out.Bytes(), []byte("logging.googleapis.com")) {
		t.Errorf("%s", out.Bytes())
	}
}
