package fatigue_test

import (
	"math"
	"strings"
	"testing"
	"time"

	"github.com/geminivideo/geminivideo/shared/fatigue"
)

// flat is n days that are all alike.
func flat(n int, impressions int64) []fatigue.Day {
	days := make([]fatigue.Day, n)
	for i := range days {
		days[i] = fatigue.Day{Impressions: impressions, CTR: 0.02, CPM: 10, Frequency: 1.5}
	}
	return days
}

// with changes the days; change gets how far along each is, 0 to 1.
func with(days []fatigue.Day, change func(d *fatigue.Day, along float64)) []fatigue.Day {
	for i := range days {
		change(&days[i], float64(i)/float64(len(days)-1))
	}
	return days
}

// newest changes the newest day.
func newest(days []fatigue.Day, change func(d *fatigue.Day)) []fatigue.Day {
	change(&days[len(days)-1])
	return days
}

func judge(days []fatigue.Day) fatigue.Verdict { return fatigue.Judge(days, fatigue.Context{}) }

func TestEachRuleHoldsBeyondItsLimitAndNotBefore(t *testing.T) {
	t.Parallel()
	const volume = 50_000
	for _, c := range []struct {
		name string
		days []fatigue.Day
		want fatigue.Status
		says string
	}{
		{"steady", flat(7, volume), fatigue.Healthy, "Steady: CTR 2.00% against 2.00% before"},
		{"CTR down 30% at once", newest(flat(7, volume), func(d *fatigue.Day) { d.CTR = 0.014 }), fatigue.Fatiguing, "CTR down 30%: 1.40% on the newest day (700 clicks of 50,000) against 2.00% before (4,000 clicks of 200,000)"},
		{"CTR down 30% from the first of three days", newest(flat(3, volume), func(d *fatigue.Day) { d.CTR = 0.014 }), fatigue.Fatiguing, "CTR down 30%"},
		{"CTR down 15%", newest(flat(7, volume), func(d *fatigue.Day) { d.CTR = 0.017 }), fatigue.Healthy, ""},
		{"CTR falling for two weeks", with(flat(14, volume), func(d *fatigue.Day, a float64) { d.CTR *= 1 - 0.5*a }), fatigue.Fatiguing, "CTR down 38%"},
		{"CTR up", with(flat(14, volume), func(d *fatigue.Day, a float64) { d.CTR *= 1 + a }), fatigue.Healthy, ""},
		{"CTR recovered", with(flat(14, volume), func(d *fatigue.Day, a float64) {
			if a > 0.8 && a < 1 {
				d.CTR = 0.012
			}
		}), fatigue.Healthy, ""},
		{"frequency 4", with(flat(7, volume), func(d *fatigue.Day, a float64) { d.Frequency = 2 + 2*a }), fatigue.Saturated, "Frequency 4.00"},
		{"frequency 3.4", with(flat(7, volume), func(d *fatigue.Day, a float64) { d.Frequency = 2 + 1.4*a }), fatigue.Healthy, ""},
		{"CPM up 65%", newest(flat(6, volume), func(d *fatigue.Day) { d.CPM = 16.5 }), fatigue.AudienceExhausted, "CPM up 65%: 16.50 on the newest day against 10.00 before"},
		{"CPM up 40% in fewer than seven days", newest(flat(6, volume), func(d *fatigue.Day) { d.CPM = 14 }), fatigue.Healthy, ""},
		{"spend up 40% and impressions not", with(flat(7, volume), func(d *fatigue.Day, a float64) { d.CPM *= 1 + 0.4*a }), fatigue.AudienceExhausted, "spend outgrew impressions by 40 points"},
		{"spend up, and impressions too", with(flat(7, volume), func(d *fatigue.Day, a float64) {
			d.CPM *= 1 + 0.3*a
			d.Impressions += int64(0.4 * a * volume)
		}), fatigue.Healthy, ""},
		{"impressions flat at a flat price", with(flat(10, volume), func(d *fatigue.Day, a float64) { d.Impressions -= int64(0.3 * a * volume) }), fatigue.Healthy, ""},
	} {
		v := judge(c.days)
		if v.Status != c.want || !strings.Contains(v.Reason, c.says) {
			t.Errorf("%s: %s (%.2f), want %s and %q:\n%s\n%+v", c.name, v.Status, v.Confidence, c.want, c.says, v.Reason, v.Signals)
		}
		if v.Confidence <= 0 || v.Confidence > 1 || v.Status.NeedsAction() && v.Confidence <= fatigue.Sure {
			t.Errorf("%s: confidence %v", c.name, v.Confidence)
		}
	}
}

func TestWhatProvesNothingIsNeverAnAlarm(t *testing.T) {
	t.Parallel()
	awful := func(d *fatigue.Day) { d.CTR, d.CPM, d.Frequency = 0, 90, 9 }
	for name, days := range map[string][]fatigue.Day{
		"no days":                         nil,
		"two days":                        newest(flat(2, 100_000), awful),
		"three days, one without traffic": append([]fatigue.Day{{}}, newest(flat(2, 100_000), awful)...),
		"40 impressions a day":            newest(flat(20, 40), awful),
		"a newest day of 40 impressions":  newest(flat(20, 5000), func(d *fatigue.Day) { awful(d); d.Impressions = 40 }),
		"a newest day without traffic":    newest(flat(20, 5000), func(d *fatigue.Day) { *d = fatigue.Day{} }),
		"no clicks at all":                with(flat(10, 60), func(d *fatigue.Day, _ float64) { d.CTR = 0 }),
	} {
		if v := judge(days); v.Status != fatigue.InsufficientData || v.Confidence != 0 || v.Critical != nil || v.Reason == "" {
			t.Errorf("%s: %+v", name, v)
		}
	}
}

func TestAClickMoreOrLessIsNoAlarm(t *testing.T) {
	t.Parallel()
	for _, volume := range []int64{60, 100, 200} {
		for _, clicks := range []float64{0, 1, 2, 3, 4} {
			days := newest(flat(10, volume), func(d *fatigue.Day) { d.CTR = clicks / float64(volume) })
			if v := judge(days); v.Status.NeedsAction() {
				t.Errorf("%v clicks of %d: %s", clicks, volume, v.Reason)
			}
		}
	}
}

func TestWhenSeveralHoldTheOneThatAsksForMostWinsAndAllAreSaid(t *testing.T) {
	t.Parallel()
	v := judge(newest(flat(6, 50_000), func(d *fatigue.Day) { d.CTR, d.Frequency, d.CPM = 0.008, 5, 25 }))
	if v.Status != fatigue.AudienceExhausted {
		t.Errorf("%s", v.Status)
	}
	for _, part := range []string{"CTR down 60%", "Frequency 5.00", "CPM up 150%"} {
		if !strings.Contains(v.Reason, part) {
			t.Errorf("the reason lacks %q: %s", part, v.Reason)
		}
	}
	v = judge(newest(flat(6, 50_000), func(d *fatigue.Day) { d.CTR, d.Frequency = 0.008, 5 }))
	if v.Status != fatigue.Saturated {
		t.Errorf("a fall at a high frequency: %s", v.Status)
	}
}

func TestAnAccountwideShiftIsNotBlamedOnTheAd(t *testing.T) {
	t.Parallel()
	days := with(flat(10, 50_000), func(d *fatigue.Day, a float64) {
		if a > 0.75 {
			d.CPM, d.CTR = 18, 0.012
		}
	})
	account := make([]fatigue.Median, len(days))
	for i, d := range days {
		account[i] = fatigue.Median{CTR: d.CTR / 2, CPM: d.CPM * 1.3}
	}
	if v := judge(days); !v.Status.NeedsAction() {
		t.Fatalf("alone: %s", v.Reason)
	}
	v := fatigue.Judge(days, fatigue.Context{Account: account})
	if v.Status != fatigue.Healthy || strings.Count(v.Reason, "The account's other ads moved alike") != 3 {
		t.Errorf("with the account: %s: %s", v.Status, v.Reason)
	}
	for i := range account {
		account[i] = fatigue.Median{CTR: 0.01, CPM: 13}
	}
	if v := fatigue.Judge(days, fatigue.Context{Account: account}); v.Status != fatigue.AudienceExhausted {
		t.Errorf("the account is steady: %s: %s", v.Status, v.Reason)
	}
	for i := range account { // a steady ad in an account that got better is a steady ad
		account[i] = fatigue.Median{CTR: 0.01 * float64(1+i), CPM: 13 / float64(1+i)}
	}
	if v := fatigue.Judge(flat(10, 50_000), fatigue.Context{Account: account}); v.Status != fatigue.Healthy {
		t.Errorf("a steady ad: %s: %s", v.Status, v.Reason)
	}
	account[len(account)-1] = fatigue.Median{}
	if v := fatigue.Judge(days, fatigue.Context{Account: account}); v.Status != fatigue.AudienceExhausted {
		t.Errorf("the account's newest day is not known: %s: %s", v.Status, v.Reason)
	}
}

func TestConfoundersAreNamed(t *testing.T) {
	t.Parallel()
	days := with(flat(10, 20_000), func(d *fatigue.Day, a float64) {
		if a > 0.75 {
			d.Impressions, d.CTR = 60_000, 0.012
		}
	})
	if v := judge(days); v.Status != fatigue.Fatiguing || !strings.Contains(v.Reason, "daily spend rose by 200% in the last three days") {
		t.Errorf("a trebled budget: %s: %s", v.Status, v.Reason)
	}
	if v := judge(days[5:]); !strings.Contains(v.Reason, "the history is only 5 days long") || !strings.Contains(v.Reason, "learning phase") {
		t.Errorf("a young ad: %s: %s", v.Status, v.Reason)
	}
	if v := judge(flat(4, 20_000)); len(v.Confounders) > 0 {
		t.Errorf("a steady ad: %q", v.Confounders)
	}
}

func TestTheTrendSaysWhenItWillBeCritical(t *testing.T) {
	t.Parallel()
	day := time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)
	falling := with(flat(8, 80_000), func(d *fatigue.Day, a float64) { d.CTR *= math.Pow(0.98, 7*a) })
	v := judge(falling)
	// 2% a day: the last day stands 9% below the mean of the first five, and it is
	// 20% below after some six days more.
	if c := v.Critical; v.Status != fatigue.Healthy || c == nil || c.Rule != fatigue.CTRFall || c.Days < 5 || c.Days > 8 || c.Soonest > c.Days || c.Longest < c.Days || c.Soonest < 1 {
		t.Errorf("a slow fall: %s %+v: %s", v.Status, c, v.Reason)
	}
	for i := range falling { // every other day was without traffic
		falling[i].Date = day.AddDate(0, 0, 2*i)
	}
	if spaced := judge(falling); spaced.Critical == nil || spaced.Critical.Days < 1.8*v.Critical.Days {
		t.Errorf("the same over twice the time: %+v", spaced.Critical)
	}
	rising := with(flat(8, 80_000), func(d *fatigue.Day, a float64) { d.Frequency = 2 + 1.2*a })
	if c := judge(rising).Critical; c == nil || c.Rule != fatigue.Frequency || c.Days > 3 {
		t.Errorf("frequency 3.2 and rising: %+v", c)
	}
	if v := judge(flat(14, 80_000)); v.Critical != nil {
		t.Errorf("a steady ad: %+v", v.Critical)
	}
	if v := judge(newest(flat(14, 80_000), func(d *fatigue.Day) { d.CTR = 0.0175 })); v.Critical != nil {
		t.Errorf("one low day is no trend: %+v", v.Critical)
	}
	if v := judge(newest(flat(7, 80_000), func(d *fatigue.Day) { d.CTR = 0.01 })); v.Critical == nil || v.Critical.Days != 0 {
		t.Errorf("fatigued already: %+v", v.Critical)
	}
}

func TestDatesWithGapsAreCountedAsTheyAre(t *testing.T) {
	t.Parallel()
	days := with(flat(7, 50_000), func(d *fatigue.Day, a float64) { d.CPM *= 1 + 0.35*a })
	if v := judge(days); v.Status != fatigue.AudienceExhausted {
		t.Fatalf("day by day: %s", v.Reason)
	}
	for i := range days {
		days[i].Date = time.Date(2026, 3, 1+3*i, 0, 0, 0, 0, time.UTC)
	}
	if v := judge(days); v.Status != fatigue.Healthy {
		t.Errorf("over three weeks, no seven days show it: %s", v.Reason)
	}
}
