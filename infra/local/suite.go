package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"regexp"
	"slices"
	"strings"
)

// suite reads what go test -json writes. It prints what go test without -v would: a line
// for each package, and the output of tests that failed. In the log lines of all tests,
// those that passed too, it looks for secrets.
type suite struct {
	out   io.Writer
	part  []byte                       // the beginning of a line
	held  map[string]map[string][]byte // output by package and test
	leaks []string
	read  int // log lines
}

func newSuite(out io.Writer) *suite { return &suite{out: out, held: map[string]map[string][]byte{}} }

// secretShapes are what the tests' credentials look like, as the real ones do. What has no
// shape of its own, such as an app's secret, is marked with vault.Marker.
var secretShapes = map[string]*regexp.Regexp{
	"a key of Gemini":              regexp.MustCompile(`\bAIza[\w-]{8,}`),
	"a token of Meta":              regexp.MustCompile(`\bEAA[A-Za-z0-9]{3,}`),
	"a token of HubSpot":           regexp.MustCompile(`\bpat-[a-z0-9-]{3,}`),
	"a webhook's secret":           regexp.MustCompile(`\bwhsec_[\w+/=-]{8,}`),
	"a tenant's server key":        regexp.MustCompile(`\bgvs_\w{3,}`),
	"an access token":              regexp.MustCompile(`\beyJ[\w-]{8,}\.[\w-]{8,}\.[\w-]{8,}`),
	"an Authorization header":      regexp.MustCompile(`\bBearer [\w.~+/-]{8,}`),
	"a database's password":        regexp.MustCompile(`\bpostgres(ql)?://[^\s:/@]+:[^\s@"]+@`),
	"an address of Slack's":        regexp.MustCompile(`hooks\.slack\.com/services/\w`),
	"a private key":                regexp.MustCompile(`-----BEGIN [A-Z ]*PRIVATE KEY`),
	"a secret that a test has set": regexp.MustCompile(`never-in-a-log`),
}

// logLine is the beginning of a line that slog writes, as text or JSON.
var logLine = regexp.MustCompile(`^(\{"(time|severity|level|msg|message)":|time=\S+ level=|\d{4}/\d\d/\d\d \d\d:\d\d:\d\d (DEBUG|INFO|WARN|ERROR))`)

type testEvent struct{ Action, Package, Test, Output string }

func (s *suite) Write(p []byte) (int, error) {
	s.part = append(s.part, p...)
	for {
		line, rest, whole := bytes.Cut(s.part, []byte("\n"))
		if !whole {
			return len(p), nil
		}
		s.part = rest
		if err := s.line(line); err != nil {
			return 0, err
		}
	}
}

func (s *suite) line(line []byte) error {
	var e testEvent
	if json.Unmarshal(line, &e) != nil || e.Action == "" {
		return s.print(append(line, '\n')) // go's own words
	}
	tests := s.held[e.Package]
	if tests == nil {
		tests = map[string][]byte{}
		s.held[e.Package] = tests
	}
	switch e.Action {
	case "build-output":
		return s.print([]byte(e.Output))
	case "output":
		s.scan(e)
		tests[e.Test] = append(tests[e.Test], e.Output...)
	case "pass", "skip":
		text := tests[e.Test]
		delete(tests, e.Test)
		if e.Test == "" {
			delete(s.held, e.Package)
			return s.summary(text)
		}
	case "fail":
		if e.Test == "" { // with what was never said to have ended
			delete(s.held, e.Package)
			for _, name := range slices.Backward(slices.Sorted(maps.Keys(tests))) {
				if err := s.print(tests[name]); err != nil {
					return err
				}
			}
			return nil
		}
		text := tests[e.Test]
		delete(tests, e.Test)
		return s.print(text)
	}
	return nil
}

// summary prints the one line of a package that passed, and nothing of one without tests.
func (s *suite) summary(text []byte) error {
	for line := range bytes.Lines(text) {
		if bytes.HasPrefix(line, []byte("ok ")) {
			return s.print(line)
		}
	}
	return nil
}

func (s *suite) print(text []byte) error {
	_, err := s.out.Write(text)
	return err
}

func (s *suite) scan(e testEvent) {
	if !logLine.MatchString(e.Output) {
		return
	}
	s.read++
	for what, shape := range secretShapes {
		if shape.MatchString(e.Output) {
			shown := strings.TrimSpace(shape.ReplaceAllString(e.Output, "[...]"))
			s.leaks = append(s.leaks, fmt.Sprintf("%s %s logs %s: %.300s", e.Package, e.Test, what, shown))
		}
	}
}

// leaked is the error of secrets in the logs, nil where there are none.
func (s *suite) leaked() error {
	if len(s.leaks) == 0 {
		return nil
	}
	return errors.New("secrets stand in the logs:\n" + strings.Join(s.leaks, "\n"))
}
