package main

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"

	"github.com/geminivideo/geminivideo/infra/testkit/fakegemini"
	"github.com/geminivideo/geminivideo/infra/testkit/vault"
	"github.com/geminivideo/geminivideo/shared/standardwebhook"
)

func feed(t *testing.T, s *suite, events ...testEvent) {
	t.Helper()
	var all []byte
	for _, e := range events {
		line, err := json.Marshal(e)
		if err != nil {
			t.Fatal(err)
		}
		all = append(append(all, line...), '\n')
	}
	for len(all) > 0 { // in pieces, as a pipe brings them
		n := min(len(all), 37)
		if _, err := s.Write(all[:n]); err != nil {
			t.Fatal(err)
		}
		all = all[n:]
	}
}

func TestTheSuitePrintsWhatFailedAndALineForEachPackage(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	s := newSuite(&out)
	feed(t, s,
		testEvent{Action: "build-output", Output: "x.go:1: no\n"},
		testEvent{Action: "output", Package: "a", Test: "TestGood", Output: "said by a good test\n"},
		testEvent{Action: "output", Package: "a", Test: "TestBad", Output: "said by a bad test\n"},
		testEvent{Action: "pass", Package: "a", Test: "TestGood"},
		testEvent{Action: "fail", Package: "a", Test: "TestBad"},
		testEvent{Action: "output", Package: "a", Test: "TestEndless", Output: "panic: said by a test that never ended\n"},
		testEvent{Action: "output", Package: "a", Output: "FAIL\ta\t0.1s\n"},
		testEvent{Action: "fail", Package: "a"},
		testEvent{Action: "output", Package: "b", Output: "PASS\n"},
		testEvent{Action: "output", Package: "b", Output: "ok  \tb\t0.2s\n"},
		testEvent{Action: "pass", Package: "b"},
		testEvent{Action: "output", Package: "c", Output: "?   \tc\t[no test files]\n"},
		testEvent{Action: "skip", Package: "c"},
	)
	want := "x.go:1: no\nsaid by a bad test\npanic: said by a test that never ended\nFAIL\ta\t0.1s\nok  \tb\t0.2s\n"
	if out.String() != want {
		t.Errorf("printed\n%swant\n%s", &out, want)
	}
	if err := s.leaked(); err != nil {
		t.Error(err)
	}
}

func TestASecretInALogLineIsFoundAlsoInATestThatPassed(t *testing.T) {
	t.Parallel()
	for _, secret := range []string{
		fakegemini.Key, vault.Marker + "the app's", standardwebhook.NewSecret(), "EAApage700100", "pat-portal-4711", "gvs_northside",
		"postgres://gv_app:pass@host/db", "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl", "https://hooks.slack.com/services/T0/B0/x",
	} {
		for _, line := range []string{`{"severity":"INFO","error":"x ` + secret + `"}`, "2026/11/30 15:58:51 ERROR POST / 503 error=" + secret} {
			s := newSuite(&bytes.Buffer{})
			feed(t, s, testEvent{Action: "output", Package: "a", Test: "TestGood", Output: line + "\n"}, testEvent{Action: "pass", Package: "a", Test: "TestGood"})
			err := s.leaked()
			if err == nil || !strings.Contains(err.Error(), "a TestGood logs ") || strings.Contains(err.Error(), secret) {
				t.Errorf("%s: %v, want an error that names the test and hides the secret", line, err)
			}
		}
		s := newSuite(&bytes.Buffer{})
		feed(t, s, testEvent{Action: "output", Package: "a", Test: "TestGood", Output: "    a_test.go:1: got " + secret + "\n"})
		if s.leaked() != nil || s.read != 0 {
			t.Errorf("what a test itself says is taken for a log line: %v", s.leaked())
		}
	}
}
