package creative_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/geminivideo/geminivideo/shared/creative"
)

func TestTextTellsKnownKeysFirstAndKeepsUnknownOnes(t *testing.T) {
	t.Parallel()
	dna := parse(t, `{"zebra": true, "cta_type": "book a call", "audience": {"age": [25, 34], "region": "EU"},
		"visual_pacing": "fast", "hook": {"type": "question", "strength": 0.83333}, "nothing": null, "scenes": [{"shot": "wide"}, {"shot": "close"}]}`)
	want := strings.Join([]string{
		"hook_strength: 0.83", "hook_type: question", "visual_pacing: fast", "cta_type: book a call",
		"audience_age: 25, 34", "audience_region: EU", "scenes_shot: wide", "scenes_shot: close", "zebra: true",
	}, "\n")
	if diff := cmp.Diff(want, dna.Text()); diff != "" {
		t.Error(diff)
	}
}

func TestTheOrderOfKeysChangesNothing(t *testing.T) {
	t.Parallel()
	a := parse(t, `{"hook_type":"question","x":{"b":1,"a":[1,"2"]},"cta_type":"shop"}`)
	b := parse(t, `{"cta_type":"shop",  "x":{"a":[1,"2"],"b":1},"hook_type":"question"}`)
	if a.Text() != b.Text() || string(a.JSON()) != string(b.JSON()) {
		t.Errorf("two orders of one DNA differ:\n%s\n%s", a.JSON(), b.JSON())
	}
}

func TestASectionMeansItsFlatKeys(t *testing.T) {
	t.Parallel()
	nested, flat := parse(t, `{"hook":{"type":"question"}}`), parse(t, `{"hook_type":"question"}`)
	if nested.Text() != flat.Text() {
		t.Errorf("%q is not %q", nested.Text(), flat.Text())
	}
}

func TestNumbersAreRoundedInTextAndWholeInJSON(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"0.123456": "0.12", "-0.001": "0", "9.999": "10", "12.3456": "12.3", "1234.5": "1235", "0": "0",
		"1e2": "100", "123456789012345678901234567890": "123456789012345680000000000000",
	} {
		dna := parse(t, `{"n":`+in+`}`)
		if got := dna.Text(); got != "n: "+want {
			t.Errorf("%s is written as %q, want %q", in, got, "n: "+want)
		}
		if got := string(dna.JSON()); got != `{"n":`+in+`}` {
			t.Errorf("%s is kept as %s", in, got)
		}
	}
}

func TestWhatIsNoDNAIsRefusedByItsRule(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		in   string
		rule error
	}{
		"list":     {`[1]`, creative.ErrNotObject},
		"text":     {`"fast"`, creative.ErrNotObject},
		"null":     {`null`, creative.ErrNotObject},
		"nothing":  {``, creative.ErrNotObject},
		"cut":      {`{"a":`, creative.ErrNotObject},
		"two":      {`{} {}`, creative.ErrNotObject},
		"infinite": {`{"a":[1e999]}`, creative.ErrNumber},
		"deep":     {`{"a":` + strings.Repeat("[", 40) + strings.Repeat("]", 40) + `}`, creative.ErrTooDeep},
		"large":    {fmt.Sprintf(`{"a":%q}`, strings.Repeat("x", creative.MaxBytes)), creative.ErrTooLarge},
	} {
		if _, err := creative.Parse([]byte(c.in)); !errors.Is(err, c.rule) {
			t.Errorf("%s: %v, want %v", name, err, c.rule)
		}
	}
}

func TestWhatTheDatabaseHoldsIsReadHoweverDeep(t *testing.T) {
	t.Parallel()
	var d creative.DNA
	deep := `{"a":` + strings.Repeat(`{"b":`, 40) + "1" + strings.Repeat("}", 41)
	if err := d.UnmarshalJSON([]byte(deep)); err != nil || string(d.JSON()) != deep || d.Text() == "" {
		t.Errorf("%s: %v", d.JSON(), err)
	}
}

func TestWhatPostgresCannotStoreIsDropped(t *testing.T) {
	t.Parallel()
	dna := parse(t, `{"a\u0000b":"x\u0000y","lone":"\ud800","tiny":1e-99999,"long":1.`+strings.Repeat("0", 20_000)+`}`)
	if got := string(dna.JSON()); got != "{\"ab\":\"xy\",\"lone\":\"\uFFFD\",\"long\":1,\"tiny\":0}" {
		t.Errorf("kept %s", got)
	}
}

func TestTheEmptyDNAHasNoText(t *testing.T) {
	t.Parallel()
	for _, in := range []string{`{}`, `{"a":null}`, `{"a":[],"b":{},"c":" "}`} {
		if got := parse(t, in).Text(); got != "" {
			t.Errorf("%s is written as %q", in, got)
		}
	}
	if got := string(creative.DNA(nil).JSON()); got != "{}" {
		t.Errorf("no DNA is kept as %s", got)
	}
}

func FuzzTextNeverPanics(f *testing.F) {
	for _, seed := range []string{`{"a":1e-400}`, `{"":{"":[{},[[]],null,"\n: "]}}`, `{"🙂":"🙂"}`, `{"a":-1e308}`} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, in string) {
		dna, err := creative.Parse([]byte(in))
		if err != nil {
			return
		}
		again := parse(t, string(dna.JSON()))
		if dna.Text() != again.Text() {
			t.Errorf("the canonical form of %q tells another text", in)
		}
		if !cmp.Equal(dna.Features(), again.Features()) {
			t.Errorf("the canonical form of %q has other features", in)
		}
	})
}

func parse(t *testing.T, in string) creative.DNA {
	t.Helper()
	dna, err := creative.Parse([]byte(in))
	if err != nil {
		t.Fatalf("parse %s: %v", in, err)
	}
	return dna
}
