package attribution

import (
	"fmt"
	"math"
	"testing"
	"time"

	"pgregory.net/rapid"
)

var noon = time.Date(2026, 3, 14, 12, 0, 0, 0, time.UTC)

func ago(d time.Duration) time.Time { return noon.Add(-d) }

func TestEarlierLayersWinHoweverLateTheOthersClicksAre(t *testing.T) {
	t.Parallel()
	all := Keys{ClickID: "id", PlatformIDs: PlatformIDs{FBCLID: "fb", GCLID: "g"}, FingerprintHash: "fp", IP: "203.0.113.9", UserAgent: "UA"}
	clicks := []Click{
		{ClickID: "id", AdID: "by-id", ClickedAt: ago(100 * time.Hour)},
		{ClickID: "b", AdID: "by-fbclid", PlatformIDs: PlatformIDs{FBCLID: "fb"}, ClickedAt: ago(90 * time.Hour)},
		{ClickID: "c", AdID: "by-gclid", PlatformIDs: PlatformIDs{GCLID: "g"}, ClickedAt: ago(80 * time.Hour)},
		{ClickID: "d", AdID: "by-fingerprint", FingerprintHash: "fp", ClickedAt: ago(10 * time.Hour)},
		{ClickID: "e", AdID: "by-device", IP: "203.0.113.9", UserAgent: "UA", ClickedAt: ago(time.Hour)},
	}
	for _, want := range []struct {
		forget         func()
		ad, method     string
		confidence, in float64
	}{
		{func() {}, "by-id", URLParam, 1, 100},
		{func() { all.ClickID = "" }, "by-gclid", URLParam, 1, 80},
		{func() { all.GCLID = "" }, "by-fbclid", URLParam, 1, 90},
		{func() { all.FBCLID = "" }, "by-fingerprint", Fingerprint, 0.9, 10},
		{func() { all.FingerprintHash = "" }, "by-device", Probabilistic, 0.7, 1},
		{func() { all.UserAgent = "" }, "", Unattributed, 0, 0},
	} {
		want.forget()
		got := credit([]Keys{all}, At(noon), clicks, nil)
		if got.AdID != want.ad || got.Method != want.method || got.Confidence != want.confidence || got.WindowHours != want.in {
			t.Errorf("with %+v: got %+v, want %+v", all, got, want)
		}
		if got.Reason == "" {
			t.Errorf("%s comes without a reason", got.Method)
		}
	}
}

func TestTheWindowIsClosedAtBothEnds(t *testing.T) {
	t.Parallel()
	tick := time.Microsecond
	for _, c := range []struct {
		name string
		at   time.Time
		keys Keys
		want string
	}{
		{"seven days to the instant", ago(Window), Keys{PlatformIDs: PlatformIDs{FBCLID: "fb"}}, URLParam},
		{"an instant more than seven days", ago(Window + tick), Keys{PlatformIDs: PlatformIDs{FBCLID: "fb"}}, Unattributed},
		{"the conversion's own instant", noon, Keys{PlatformIDs: PlatformIDs{FBCLID: "fb"}}, URLParam},
		{"an instant after the conversion", ago(-tick), Keys{PlatformIDs: PlatformIDs{FBCLID: "fb"}}, Unattributed},
		{"a device after 24 hours", ago(24 * time.Hour), Keys{IP: "192.0.2.1", UserAgent: "UA"}, Probabilistic},
		{"a device an instant later", ago(24*time.Hour + tick), Keys{IP: "192.0.2.1", UserAgent: "UA"}, Unattributed},
		{"a device's address alone", ago(time.Hour), Keys{IP: "192.0.2.1"}, Unattributed},
		{"a device with another agent", ago(time.Hour), Keys{IP: "192.0.2.1", UserAgent: "other"}, Unattributed},
		{"a fingerprint after six days", ago(144 * time.Hour), Keys{FingerprintHash: "fp"}, Fingerprint},
	} {
		click := Click{ClickID: "c", AdID: "a", PlatformIDs: PlatformIDs{FBCLID: "fb"}, FingerprintHash: "fp", IP: "192.0.2.1", UserAgent: "UA", ClickedAt: c.at}
		if got := credit([]Keys{c.keys}, At(noon), []Click{click}, nil).Method; got != c.want {
			t.Errorf("%s: %s, want %s", c.name, got, c.want)
		}
	}
}

func TestAProbableMatchIsSurerTheFresherItIs(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ hours, want float64 }{{0, 0.7}, {6, 0.7}, {12, 0.7}, {18, 0.65}, {24, 0.6}} {
		if got := confidence(Probabilistic, c.hours); got != c.want {
			t.Errorf("%v hours: %v, want %v", c.hours, got, c.want)
		}
	}
	if got := score(6); math.Abs(got-0.95) > 1e-12 {
		t.Errorf("score after 6 hours: %v, want 0.95", got)
	}
}

func TestATimeInWholeSecondsLastsThatSecond(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		text string
		last time.Duration
	}{
		{"2026-03-14T12:00:00Z", time.Second - time.Microsecond},
		{"2026-03-14T13:00:00+01:00", time.Second - time.Microsecond},
		{"2026-03-14T12:00:00.000Z", time.Millisecond - time.Microsecond},
		{"2026-03-14T12:00:00.0Z", 100*time.Millisecond - time.Microsecond},
		{"2026-03-14T12:00:00.000000Z", 0},
		{"2026-03-14T12:00:00.000000000Z", 0},
	} {
		m, err := ParseConvertedAt(c.text)
		if err != nil || !m.From.Equal(noon) || !m.Until.Equal(noon.Add(c.last)) {
			t.Errorf("%s: %v to %v, %v", c.text, m.From, m.Until, err)
		}
		click := Click{ClickID: "c", AdID: "a", ClickedAt: ago(Window)}
		if got := credit([]Keys{{ClickID: "c"}}, m, []Click{click}, nil); got.Method != URLParam || got.WindowHours != 168 {
			t.Errorf("%s: a click seven days before: %+v", c.text, got)
		}
	}
	m, _ := ParseConvertedAt("2026-03-14T12:00:00Z")
	for after, want := range map[time.Duration]string{900 * time.Millisecond: URLParam, time.Second: Unattributed} {
		if got := credit([]Keys{{ClickID: "c"}}, m, []Click{{ClickID: "c", AdID: "a", ClickedAt: noon.Add(after)}}, nil); got.Method != want || got.WindowHours != 0 {
			t.Errorf("a click %v into that second: %+v, want %s after 0 hours", after, got, want)
		}
	}
}

func TestOfSeveralKeysOfOnePersonTheBestCounts(t *testing.T) {
	t.Parallel()
	clicks := []Click{
		{ClickID: "old", AdID: "a", PlatformIDs: PlatformIDs{FBCLID: "first"}, ClickedAt: ago(50 * time.Hour)},
		{ClickID: "new", AdID: "a", PlatformIDs: PlatformIDs{FBCLID: "second"}, ClickedAt: ago(2 * time.Hour)},
		{ClickID: "print", AdID: "a", FingerprintHash: "fp", ClickedAt: ago(time.Hour)},
	}
	got := credit([]Keys{{PlatformIDs: PlatformIDs{FBCLID: "first"}}, {FingerprintHash: "fp"}, {PlatformIDs: PlatformIDs{FBCLID: "second"}}}, At(noon), clicks, nil)
	if got.ClickID != "new" {
		t.Errorf("credited to %s, want new", got.ClickID)
	}
}

// genClicks draws clicks that share few keys, times and instants, so that ties and near misses are common.
func genClicks(t *rapid.T, label string) []Click {
	few := func(kind string) *rapid.Generator[string] {
		return rapid.SampledFrom([]string{"", kind + "1", kind + "2"})
	}
	n := rapid.IntRange(0, 8).Draw(t, label)
	clicks := make([]Click, n)
	for i := range clicks {
		clicks[i] = Click{
			ClickID: fmt.Sprintf("click-%d", i), AdID: fmt.Sprintf("ad-%d", i%3), ClickedAt: genTime(t, "clicked"),
			PlatformIDs: PlatformIDs{FBCLID: few("fb").Draw(t, "fbclid"), GCLID: few("g").Draw(t, "gclid")}, FingerprintHash: few("fp").Draw(t, "fingerprint"),
			IP: few("192.0.2.").Draw(t, "ip"), UserAgent: few("UA").Draw(t, "agent"),
		}
	}
	return clicks
}

func genTime(t *rapid.T, label string) time.Time {
	base := rapid.SampledFrom([]time.Duration{0, time.Hour, 24 * time.Hour, 48 * time.Hour, Window}).Draw(t, label)
	return ago(base + time.Duration(rapid.IntRange(-1, 1).Draw(t, label))*time.Microsecond)
}

func genKeys(t *rapid.T) Keys {
	few := func(label, kind string) string {
		return rapid.SampledFrom([]string{"", kind + "1", kind + "2"}).Draw(t, label)
	}
	return Keys{
		ClickID: few("click id", "click-"), PlatformIDs: PlatformIDs{FBCLID: few("fbclid", "fb"), GCLID: few("gclid", "g")},
		FingerprintHash: few("fingerprint", "fp"),
		IP:              few("ip", "192.0.2."), UserAgent: few("agent", "UA"),
	}
}

func TestTheOrderInWhichClicksAreKnownDecidesNothing(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		clicks, keys := genClicks(t, "clicks"), []Keys{genKeys(t), genKeys(t)}
		want := credit(keys, At(noon), clicks, nil)
		if got := credit(keys, At(noon), rapid.Permutation(clicks).Draw(t, "shuffled"), nil); got != want {
			t.Fatalf("shuffled clicks: %+v, want %+v", got, want)
		}
	})
}

func TestAClickOutsideTheWindowNeverChangesTheResult(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		clicks, keys := genClicks(t, "clicks"), []Keys{genKeys(t)}
		want := credit(keys, At(noon), clicks, nil)
		stray := Click{ClickID: keys[0].ClickID, AdID: "stray", PlatformIDs: keys[0].PlatformIDs, FingerprintHash: keys[0].FingerprintHash, IP: keys[0].IP, UserAgent: keys[0].UserAgent}
		stray.ClickedAt = rapid.SampledFrom([]time.Time{noon.Add(time.Microsecond), noon.Add(time.Hour), ago(Window + time.Microsecond)}).Draw(t, "stray")
		if got := credit(keys, At(noon), append(clicks, stray), nil); got != want {
			t.Fatalf("with a click at %v: %+v, want %+v", stray.ClickedAt, got, want)
		}
	})
}

func TestAPlatformsClickIDBelongsToItsOwner(t *testing.T) {
	t.Parallel()
	fb := PlatformIDs{FBCLID: "fb"}
	mine := Click{ClickID: "mine", AdID: "a", Known: true, PlatformIDs: fb, ClickedAt: ago(5 * time.Hour)}
	theirs := Click{ClickID: "theirs", AdID: "b", Known: true, PlatformIDs: fb, ClickedAt: ago(time.Hour)}
	clicks := []Click{mine, theirs}
	for owner, want := range map[string]string{"a": "mine", "b": "theirs"} {
		if got := credit([]Keys{{PlatformIDs: fb}}, At(noon), clicks, owners{{"fbclid", "fb"}: owner}); got.ClickID != want {
			t.Errorf("owned by %s: %s wins, want %s", owner, got.ClickID, want)
		}
	}
	// The id says nothing of the click that it does not belong to; what else the click has does.
	theirs.FingerprintHash = "fp"
	got := credit([]Keys{{PlatformIDs: fb, FingerprintHash: "fp"}}, At(noon), []Click{theirs}, owners{{"fbclid", "fb"}: "a"})
	if got.Method != Fingerprint {
		t.Errorf("by its fingerprint the click matches: %+v", got)
	}
}

func TestAClickOfAnUnknownAdWinsOnlyWhereNoKnownOneMatches(t *testing.T) {
	t.Parallel()
	keys := []Keys{{ClickID: "sure", FingerprintHash: "fp"}}
	unknown := Click{ClickID: "sure", AdID: "nobody's", ClickedAt: ago(time.Hour)}
	known := Click{ClickID: "print", AdID: "a", Known: true, FingerprintHash: "fp", ClickedAt: ago(100 * time.Hour)}
	none := Click{ClickID: "sure", AdID: "", ClickedAt: ago(time.Minute)}
	for _, c := range []struct {
		clicks []Click
		want   string
	}{
		{[]Click{unknown, known, none}, "print"}, {[]Click{unknown}, "sure"}, {[]Click{known}, "print"}, {[]Click{none}, ""},
	} {
		got := credit(keys, At(noon), c.clicks, nil)
		if got.ClickID != c.want || c.want == "" && got.Reason != unfilledMacro {
			t.Errorf("%d clicks: %+v, want %q", len(c.clicks), got, c.want)
		}
	}
}

func TestAModelSharesAWholeCreditOut(t *testing.T) {
	t.Parallel()
	touch := func(id, ad string, hours int) Touch {
		return Touch{ClickID: id, AdID: ad, ClickedAt: ago(time.Duration(hours) * time.Hour), Method: URLParam, Layer: 2, Eligible: true, Known: true}
	}
	all := []Touch{touch("k1", "a", 90), touch("k2", "b", 50), touch("k3", "c", 20), touch("k4", "b", 10)}
	weak := Touch{ClickID: "weak", AdID: "z", ClickedAt: ago(100 * time.Hour), Method: Fingerprint, Layer: 3, Eligible: true, Known: true}
	old := touch("old", "z", 400)
	old.Eligible = false
	for _, c := range []struct {
		model, click string
		parts        []Part
	}{
		{LastClick, "k4", nil},
		{FirstClick, "k1", nil},
		{ByPosition, "k4", []Part{{"a", 0, 0.4}, {"b", 0.4, 0.9}, {"c", 0.9, 1}}},
	} {
		credited, parts := Share(c.model, append([]Touch{weak, old}, all...))
		if credited.ClickID != c.click || fmt.Sprintf("%.6v", parts) != fmt.Sprintf("%.6v", c.parts) {
			t.Errorf("%s: %s %v, want %s %v", c.model, credited.ClickID, parts, c.click, c.parts)
		}
	}
	if credited, parts := Share(ByPosition, []Touch{touch("k1", "a", 9), touch("k2", "b", 1)}); credited.AdID != "b" || len(parts) != 2 || parts[0].To != 0.5 {
		t.Errorf("of two clicks each has half, and the last one's ad stands for both: %v %v", credited, parts)
	}
	if _, parts := Share(ByPosition, []Touch{touch("k1", "a", 9), touch("k2", "a", 1)}); parts != nil {
		t.Errorf("one ad shares with nobody: %v", parts)
	}
}

func TestOnlyASurerOrLaterClickReplacesAMatchThatStands(t *testing.T) {
	t.Parallel()
	print := Result{ClickID: "old", Method: Fingerprint, Layer: 3, ClickedAt: ago(5 * time.Hour)}
	for _, c := range []struct {
		now  Result
		want bool
	}{
		{Result{Method: Unattributed}, true},
		{Result{Method: Probabilistic, Layer: 4, ClickedAt: ago(time.Hour)}, true},
		{Result{Method: Fingerprint, Layer: 3, ClickedAt: ago(6 * time.Hour)}, true},
		{Result{Method: Fingerprint, Layer: 3, ClickedAt: ago(4 * time.Hour)}, false},
		{Result{Method: URLParam, Layer: 2, ClickedAt: ago(100 * time.Hour)}, false},
	} {
		if got := print.outlasts(c.now); got != c.want {
			t.Errorf("against %s of %v: %v, want %v", c.now.Method, c.now.ClickedAt, got, c.want)
		}
	}
}

func TestALeadComesBeforeEveryClickAndCountsUntilTheDeal(t *testing.T) {
	t.Parallel()
	click := Click{ClickID: "k", AdID: "by-click", PlatformIDs: PlatformIDs{FBCLID: "fb"}, ClickedAt: ago(time.Hour), Known: true}
	lead := func(at time.Time) Click {
		return Click{ClickID: "lead-1", AdID: "by-lead", LeadKeys: LeadKeys{LeadID: "1", EmailHash: "e", PhoneHash: "p"}, ClickedAt: at, Known: true}
	}
	moment := At(noon)
	later := moment
	later.Lead = noon.Add(240 * time.Hour)
	for _, c := range []struct {
		name string
		lead LeadKeys
		at   time.Time
		m    ConvertedAt
		want string
	}{
		{"by its id", LeadKeys{LeadID: "1"}, ago(480 * time.Hour), moment, "by-lead"},
		{"by an address", LeadKeys{EmailHash: "e"}, ago(480 * time.Hour), moment, "by-lead"},
		{"by a number", LeadKeys{PhoneHash: "p"}, ago(480 * time.Hour), moment, "by-lead"},
		{"another lead", LeadKeys{LeadID: "2", EmailHash: "x", PhoneHash: "y"}, ago(time.Hour), moment, "by-click"},
		{"ninety days to the instant", LeadKeys{LeadID: "1"}, ago(Lookback), moment, "by-lead"},
		{"an instant more", LeadKeys{LeadID: "1"}, ago(Lookback + time.Microsecond), moment, "by-click"},
		{"after the conversion", LeadKeys{LeadID: "1"}, ago(-time.Hour), moment, "by-click"},
		{"after the conversion and before the deal", LeadKeys{LeadID: "1"}, ago(-239 * time.Hour), later, "by-lead"},
		{"after the deal", LeadKeys{LeadID: "1"}, ago(-241 * time.Hour), later, "by-click"},
	} {
		keys := Keys{PlatformIDs: PlatformIDs{FBCLID: "fb"}, LeadKeys: c.lead}
		got := credit([]Keys{keys}, c.m, []Click{click, lead(c.at)}, nil)
		if got.AdID != c.want || got.Confidence != 1 || c.want == "by-lead" && (got.Method != LeadID || got.Layer != 0) {
			t.Errorf("%s: %+v, want %s", c.name, got, c.want)
		}
	}
}
