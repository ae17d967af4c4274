package queue_test

import (
	"strings"
	"testing"
	"time"

	"github.com/geminivideo/geminivideo/shared/changes"
	"github.com/geminivideo/geminivideo/shared/changes/queue"
)

// TestARaiseIsWhatGoesAboveTheCutNotAboveALowerPlan has an older plan lead further
// down than the fatigue cut that it stands for.
func TestARaiseIsWhatGoesAboveTheCutNotAboveALowerPlan(t *testing.T) {
	t.Parallel()
	w := open(t)
	w.ad(tenant, "a", "s1", 11_000)
	plan := w.enqueue(tenant, to("a", 7_097))[0]
	if stands := w.enqueue(tenant, cut("a"))[0]; stands.ChangeID != plan.ChangeID || stands.Status != changes.StatusPending {
		t.Fatalf("%+v", stands)
	}
	for _, more := range []int64{8_801, 10_000, 12_000} { // a cut of a fifth leaves 8,800
		if held := w.enqueue(tenant, to("a", more))[0]; held.Status != changes.StatusHeld {
			t.Errorf("to %d: %+v", more, held)
		}
	}
	for _, less := range []int64{7_112, 8_800} {
		if down := w.enqueue(tenant, to("a", less))[0]; down.Status != changes.StatusPending {
			t.Errorf("to %d: %+v", less, down)
		}
	}
	if held := w.enqueue(tenant, to("a", 9_000))[0]; held.Status != changes.StatusHeld {
		t.Errorf("once the plan was replaced: %+v", held)
	}
}

// TestWhatReplacesACutStandsForIt takes back the change that took a cut's place.
func TestWhatReplacesACutStandsForIt(t *testing.T) {
	t.Parallel()
	w := open(t)
	w.ad(tenant, "a", "s1", 11_000)
	w.enqueue(tenant, cut("a"))
	lower := w.enqueue(tenant, to("a", 7_000))[0]
	w.in(tenant, func(s queue.Store) error {
		_, err := s.Reject(t.Context(), tenant, lower.ChangeID, "a@example.com", "")
		return err
	})
	if raise := w.enqueue(tenant, to("a", 12_000))[0]; raise.Status != changes.StatusPending {
		t.Errorf("neither cut was made: %+v", raise)
	}
}

func TestACutThatWasADryRunBindsOnlyDryRuns(t *testing.T) {
	t.Parallel()
	w := open(t)
	w.exec(`UPDATE gv.accounts SET mode = 'dry_run'`)
	w.ad(tenant, "a", "s1", 11_000)
	tried := w.enqueue(tenant, cut("a"))[0]
	w.exec(`UPDATE gv.pending_ad_changes SET status = 'dry_run', finished_at = now()`)
	w.now = w.now.Add(time.Hour)
	if held := w.enqueue(tenant, to("a", 12_000))[0]; held.Status != changes.StatusHeld || !strings.Contains(held.Reason, "the cut was a dry run") {
		t.Errorf("in a dry run: %+v", held)
	}
	if again := w.enqueue(tenant, cut("a"))[0]; again.Status != changes.StatusRefused || again.ChangeID != tried.ChangeID {
		t.Errorf("in a dry run: %+v", again)
	}
	w.exec(`UPDATE gv.accounts SET mode = 'live'`)
	if raise := w.enqueue(tenant, to("a", 12_000))[0]; raise.Status != changes.StatusPending {
		t.Errorf("live: %+v", raise)
	}
	if earnest := w.enqueue(tenant, cut("a"))[0]; earnest.Status != changes.StatusPending || earnest.ChangeID == tried.ChangeID {
		t.Errorf("live: %+v", earnest)
	}
}
