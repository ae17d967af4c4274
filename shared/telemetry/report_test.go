package telemetry_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"testing"

	"github.com/geminivideo/geminivideo/shared/fault"
	"github.com/geminivideo/geminivideo/shared/telemetry"
)

func logged(t *testing.T, level slog.Level, attributes ...any) map[string]any {
	t.Helper()
	var out bytes.Buffer
	ctx := telemetry.WithRequest(telemetry.WithFunction(t.Context(), "allocate"), "POST", "/api/x")
	telemetry.NewLogger(&out, "").Log(ctx, level, "cannot store", attributes...)
	line := map[string]any{}
	if err := json.Unmarshal(out.Bytes(), &line); err != nil {
		t.Fatalf("%v in %s", err, out.Bytes())
	}
	return line
}

func TestALineAtErrorIsWhatErrorReportingGroups(t *testing.T) {
	t.Parallel()
	line := logged(t, slog.LevelError, "error", "disk full", slog.Group("httpRequest", "status", 500))
	stack, _ := line["stack_trace"].(string)
	if line["@type"] != "type.googleapis.com/google.devtools.clouderrorreporting.v1beta1.ReportedErrorEvent" {
		t.Errorf("@type is %v", line["@type"])
	}
	for _, want := range []string{"cannot store: disk full\n\ngoroutine 1 [running]:\n", "telemetry_test.logged(...)\n\t", "report_test.go:"} {
		if !strings.Contains(stack, want) {
			t.Errorf("the stack has no %q: %s", want, stack)
		}
	}
	if first := strings.Split(stack, "\n")[3]; !strings.Contains(first, "logged") {
		t.Errorf("the stack begins in %s", first)
	}
	service, _ := line["serviceContext"].(map[string]any)
	context, _ := line["context"].(map[string]any)
	request, _ := context["httpRequest"].(map[string]any)
	if service["service"] != "allocate" || request["method"] != "POST" || request["url"] != "/api/x" || request["responseStatusCode"] != 500.0 {
		t.Errorf("%v %v", service, request)
	}
}

func store() error { return fault.Down("the disk is full", io.ErrShortWrite) }

func TestTheStackOfWhereTheErrorWasMadeIsReported(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	err := fmt.Errorf("keep the ad: %w", store())
	telemetry.NewLogger(&out, "").Log(telemetry.WithOrigin(t.Context(), fault.Origin(err)), slog.LevelError, "cannot store", "error", err.Error())
	line := map[string]any{}
	if err := json.Unmarshal(out.Bytes(), &line); err != nil {
		t.Fatal(err)
	}
	stack, _ := line["stack_trace"].(string)
	if first := strings.Split(stack, "\n")[3]; !strings.Contains(first, "telemetry_test.store(") {
		t.Errorf("the stack begins in %s", first)
	}
}

func TestThePanicsOwnStackIsReported(t *testing.T) {
	t.Parallel()
	if line := logged(t, slog.LevelError, "stack", "goroutine 7 [running]:\nwhere.it(...)"); !strings.HasSuffix(line["stack_trace"].(string), "where.it(...)") {
		t.Errorf("%v", line["stack_trace"])
	}
}

func TestALineBelowErrorHasNoStack(t *testing.T) {
	t.Parallel()
	if line := logged(t, slog.LevelWarn, "error", "x"); line["stack_trace"] != nil || line["@type"] != nil {
		t.Errorf("%v", line)
	}
}
