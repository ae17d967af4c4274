package attribution

import (
	"strings"
	"testing"
)

func TestAnAddressHasOneForm(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"203.0.113.7":                 "203.0.113.7",
		" 203.0.113.7 ":               "203.0.113.7",
		"::ffff:203.0.113.7":          "203.0.113.7",
		"2001:0DB8:0000::0001":        "2001:db8::1",
		"fe80::1%eth0":                "fe80::1",
		"":                            "",
		"localhost":                   "",
		"203.0.113.7:443":             "",
		"999.1.1.1":                   "",
		"2001:db8::1\x00":             "",
		strings.Repeat("1", 1_000_00): "",
	} {
		got, ok := NormaliseIP(text)
		if got != want || ok != (want != "") {
			t.Errorf("%.40q: %q, %v, want %q", text, got, ok, want)
		}
	}
}

func TestAnAgentIsTextOfBoundedLength(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"  Mozilla/5.0 ":                   "Mozilla/5.0",
		"a\x00b\xff\r\nc":                  "abc",
		strings.Repeat("é", 600):           strings.Repeat("é", 512),
		"x" + strings.Repeat("é", 600):     "x" + strings.Repeat("é", 511),
		strings.Repeat(" ", 5000) + "tail": "tail",
	} {
		if got := NormaliseAgent(text); got != want {
			t.Errorf("%.20q: %.20q (%d bytes), want %.20q (%d bytes)", text, got, len(got), want, len(want))
		}
	}
}

func TestAFingerprintDependsOnItsComponentsAndTheSaltAlone(t *testing.T) {
	t.Parallel()
	one := map[string]any{"screen": "1920x1080", "zone": "Europe/Berlin", "fonts": []any{"a", "b"}, "depth": 24.0}
	same := map[string]any{"depth": 24.0, "fonts": []any{"a", "b"}, "zone": "Europe/Berlin", "screen": "1920x1080", "canvas": nil, "plugin": ""}
	other := map[string]any{"screen": "1920x1080", "zone": "Europe/Berlin", "fonts": []any{"b", "a"}, "depth": 24.0}
	hash := FingerprintHash(one, "tenant")
	if len(hash) != 64 || hash != FingerprintHash(same, "tenant") {
		t.Errorf("the same components hash to %s and %s", hash, FingerprintHash(same, "tenant"))
	}
	if hash == FingerprintHash(other, "tenant") || hash == FingerprintHash(one, "another tenant") {
		t.Error("other components, or another salt, hash to the same")
	}
	for _, nothing := range []map[string]any{nil, {}, {"canvas": nil, "plugin": ""}} {
		if got := FingerprintHash(nothing, "tenant"); got != "" {
			t.Errorf("%v hashes to %s: strangers would be one person", nothing, got)
		}
	}
}
