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
	all := Keys{ClickID: "id", FBCLID: "fb", GCLID: "g", FingerprintHash: "fp", IP: "203.0.113.9", UserAgent: "UA"}
	clicks := []Click{
		{ClickID: "id", AdID: "by-id", ClickedAt: ago(100 * time.Hour)},
		{ClickID: "b", AdID: "by-fbclid", FBCLID: "fb", ClickedAt: ago(90 * time.Hour)},
		{ClickID: "c", AdID: "by-gclid", GCLID: "g", ClickedAt: ago(80 * time.Hour)},
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
		got := credit([]Keys{all}, At(noon), clicks)
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
		{"seven days to the instant", ago(Window), Keys{FBCLID: "fb"}, URLParam},
		{"an instant more than seven days", ago(Window + tick), Keys{FBCLID: "fb"}, Unattributed},
		{"the conversion's own instant", noon, Keys{FBCLID: "fb"}, URLParam},
		{"an instant after the conversion", ago(-tick), Keys{FBCLID: "fb"}, Unattributed},
		{"a device after 24 hours", ago(24 * time.Hour), Keys{IP: "192.0.2.1", UserAgent: "UA"}, Probabilistic},
		{"a device an instant later", ago(24*time.Hour + tick), Keys{IP: "192.0.2.1", UserAgent: "UA"}, Unattributed},
		{"a device's address alone", ago(time.Hour), Keys{IP: "192.0.2.1"}, Unattributed},
		{"a device with another agent", ago(time.Hour), Keys{IP: "192.0.2.1", UserAgent: "other"}, Unattributed},
		{"a fingerprint after six days", ago(144 * time.Hour), Keys{FingerprintHash: "fp"}, Fingerprint},
	} {
		click := Click{ClickID: "c", FBCLID: "fb", FingerprintHash: "fp", IP: "192.0.2.1", UserAgent: "UA", ClickedAt: c.at}
		if got := credit([]Keys{c.keys}, At(noon), []Click{click}).Method; got != c.want {
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
		m, err := ParseMoment(c.text)
		if err != nil || !m.From.Equal(noon) || !m.Until.Equal(noon.Add(c.last)) {
			t.Errorf("%s: %v to %v, %v", c.text, m.From, m.Until, err)
		}
		click := Click{ClickID: "c", ClickedAt: ago(Window)}
		if got := credit([]Keys{{ClickID: "c"}}, m, []Click{click}); got.Method != URLParam || got.WindowHours != 168 {
			t.Errorf("%s: a click seven days before: %+v", c.text, got)
		}
	}
	m, _ := ParseMoment("2026-03-14T12:00:00Z")
	for after, want := range map[time.Duration]string{900 * time.Millisecond: URLParam, time.Second: Unattributed} {
		if got := credit([]Keys{{ClickID: "c"}}, m, []Click{{ClickID: "c", ClickedAt: noon.Add(after)}}); got.Method != want || got.WindowHours != 0 {
			t.Errorf("a click %v into that second: %+v, want %s after 0 hours", after, got, want)
		}
	}
}

func TestOfSeveralKeysOfOnePersonTheBestCounts(t *testing.T) {
	t.Parallel()
	clicks := []Click{
		{ClickID: "old", FBCLID: "first", ClickedAt: ago(50 * time.Hour)},
		{ClickID: "new", FBCLID: "second", ClickedAt: ago(2 * time.Hour)},
		{ClickID: "print", FingerprintHash: "fp", ClickedAt: ago(time.Hour)},
	}
	got := credit([]Keys{{FBCLID: "first"}, {FingerprintHash: "fp"}, {FBCLID: "second"}}, At(noon), clicks)
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
			FBCLID: few("fb").Draw(t, "fbclid"), GCLID: few("g").Draw(t, "gclid"), FingerprintHash: few("fp").Draw(t, "fingerprint"),
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
		ClickID: few("click id", "click-"), FBCLID: few("fbclid", "fb"), GCLID: few("gclid", "g"), FingerprintHash: few("fingerprint", "fp"),
		IP: few("ip", "192.0.2."), UserAgent: few("agent", "UA"),
	}
}

func TestTheOrderInWhichClicksAreKnownDecidesNothing(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		clicks, keys := genClicks(t, "clicks"), []Keys{genKeys(t), genKeys(t)}
		want := credit(keys, At(noon), clicks)
		if got := credit(keys, At(noon), rapid.Permutation(clicks).Draw(t, "shuffled")); got != want {
			t.Fatalf("shuffled clicks: %+v, want %+v", got, want)
		}
		// Affected relies on this: the best of all is the better of the best so far and the next.
		var best *Click
		for _, c := range clicks {
			if (current{keys, At(noon), best}).takenOver(c) {
				best = &c
			}
		}
		if best == nil != (want.ClickID == "") || best != nil && best.ClickID != want.ClickID {
			t.Fatalf("one by one: %+v, want %s", best, want.ClickID)
		}
	})
}

func TestAClickOutsideTheWindowNeverChangesTheResult(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		clicks, keys := genClicks(t, "clicks"), []Keys{genKeys(t)}
		want := credit(keys, At(noon), clicks)
		stray := Click{ClickID: keys[0].ClickID, FBCLID: keys[0].FBCLID, GCLID: keys[0].GCLID, FingerprintHash: keys[0].FingerprintHash, IP: keys[0].IP, UserAgent: keys[0].UserAgent}
		stray.ClickedAt = rapid.SampledFrom([]time.Time{noon.Add(time.Microsecond), noon.Add(time.Hour), ago(Window + time.Microsecond)}).Draw(t, "stray")
		if got := credit(keys, At(noon), append(clicks, stray)); got != want {
			t.Fatalf("with a click at %v: %+v, want %+v", stray.ClickedAt, got, want)
		}
	})
}
