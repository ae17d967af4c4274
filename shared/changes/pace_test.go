package changes_test

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/geminivideo/geminivideo/shared/changes"
)

var noon = time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC)

// checkVelocity reports a window of six hours in which our moves add up to more than
// a fifth of the smallest budget that one of them started from.
func checkVelocity(moves []changes.Move) error {
	for i, first := range moves {
		var moved int64
		smallest := first.Before
		for _, m := range moves[i:] {
			if m.At.Sub(first.At) < changes.VelocityWindow {
				moved += max(m.After-m.Before, m.Before-m.After)
				smallest = min(smallest, m.Before)
			}
			if m.At.Sub(first.At) < changes.VelocityWindow && moved*changes.Velocity > smallest {
				return fmt.Errorf("moved by %d from at least %d within 6 hours of %v", moved, smallest, first.At)
			}
		}
	}
	return nil
}

func TestNoSixHoursChangeABudgetByMoreThanAFifth(t *testing.T) {
	t.Parallel()
	for seed := range uint64(300) {
		random := rand.New(rand.NewPCG(seed, 1))
		grain := []int64{1, 1, 100}[random.IntN(3)]
		current := grain * (1 + random.Int64N(100_000))
		now, target := noon, current
		var moves []changes.Move
		for range 200 {
			if random.IntN(10) == 0 { // a newer decision
				target = grain * random.Int64N(150_000)
			}
			if random.IntN(15) == 0 { // somebody else's edit
				current = grain * (1 + random.Int64N(150_000))
			}
			next, wait := changes.Pace(now, current, target, moves, grain)
			switch {
			case next != current:
				between := min(current, target) <= next && next <= max(current, target)
				if !between || next%grain != 0 {
					t.Fatalf("seed %d: from %d towards %d went to %d", seed, current, target, next)
				}
				moves = append(moves, changes.Move{At: now, Before: current, After: next})
				current = next
			case !wait.IsZero() && !wait.After(now):
				t.Fatalf("seed %d: waits until %v at %v", seed, wait, now)
			}
			now = now.Add(time.Duration(random.Int64N(int64(3 * time.Hour))))
		}
		if err := checkVelocity(moves); err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
	}
}

func TestATargetIsReachedInTheAnnouncedSteps(t *testing.T) {
	t.Parallel()
	for seed := range uint64(300) {
		random := rand.New(rand.NewPCG(seed, 2))
		current, target := 100+random.Int64N(1_000_000), 100+random.Int64N(1_000_000)
		announced := changes.Steps(current, target, 1)
		var moves []changes.Move
		now, steps := noon, 0
		for current != target {
			next, wait := changes.Pace(now, current, target, moves, 1)
			if next == current {
				if !wait.After(now) {
					t.Fatalf("seed %d: stuck at %d on the way to %d", seed, current, target)
				}
				now = wait
				continue
			}
			moves = append(moves, changes.Move{At: now, Before: current, After: next})
			current, steps = next, steps+1
		}
		if steps != announced {
			t.Errorf("seed %d: %d steps, announced %d", seed, steps, announced)
		}
	}
}

func TestTheBoundariesOfTheWindows(t *testing.T) {
	t.Parallel()
	moved := []changes.Move{{At: noon, Before: 1000, After: 800}}
	for _, c := range []struct {
		at   time.Duration
		next int64
	}{
		{0, 800},
		{6*time.Hour - time.Microsecond, 800},
		{6 * time.Hour, 640}, // exactly six hours old is out
		{-time.Hour, 800},    // in the future, as after a clock was set back: it counts
	} {
		if next, _ := changes.Pace(noon.Add(c.at), 800, 500, moved, 1); next != c.next {
			t.Errorf("%v later: %d, want %d", c.at, next, c.next)
		}
	}
	actions := make([]time.Time, changes.CampaignActions)
	for i := range actions {
		actions[i] = noon.Add(time.Duration(i) * time.Minute)
	}
	for at, want := range map[time.Duration]time.Time{
		30 * time.Minute:            noon.Add(time.Hour),
		time.Hour - time.Nanosecond: noon.Add(time.Hour),
		time.Hour:                   {},
		-time.Minute:                noon.Add(time.Hour),
	} {
		if got := changes.Admit(noon.Add(at), actions, changes.CampaignActions, changes.ActionWindow); !got.Equal(want) {
			t.Errorf("%v later: %v, want %v", at, got, want)
		}
	}
}

func TestAnAdmittedActionNeverMakesSixteenInAnHour(t *testing.T) {
	t.Parallel()
	for seed := range uint64(100) {
		random := rand.New(rand.NewPCG(seed, 3))
		var actions []time.Time
		now := noon
		for range 300 {
			if changes.Admit(now, actions, changes.CampaignActions, changes.ActionWindow).IsZero() {
				actions = append(actions, now)
			}
			now = now.Add(time.Duration(random.Int64N(int64(5 * time.Minute))))
		}
		for i := changes.CampaignActions; i < len(actions); i++ {
			if actions[i].Sub(actions[i-changes.CampaignActions]) < changes.ActionWindow {
				t.Fatalf("seed %d: %d within an hour", seed, changes.CampaignActions+1)
			}
		}
	}
}

func TestSomebodyElsesMoveGivesNoExtraRoom(t *testing.T) {
	t.Parallel()
	ours := []changes.Move{{At: noon.Add(-time.Hour), Before: 1000, After: 900}}
	if next, _ := changes.Pace(noon, 5000, 4000, ours, 1); next != 4900 { // 200 of the 1000 it had, 100 of them used
		t.Errorf("after it was raised: %d", next)
	}
	if next, wait := changes.Pace(noon, 100, 200, ours, 1); next != 100 || !wait.Equal(noon.Add(5*time.Hour)) {
		t.Errorf("after it was lowered: %d, %v", next, wait)
	}
}

func TestWhatIsTooSmallForAFifthStays(t *testing.T) {
	t.Parallel()
	for _, current := range []int64{0, 1, 4} {
		if next, wait := changes.Pace(noon, current, 100, nil, 1); next != current || !wait.IsZero() {
			t.Errorf("%d: %d, %v", current, next, wait)
		}
	}
	if next, wait := changes.Pace(noon, 400, 1000, nil, 100); next != 400 || !wait.IsZero() { // a fifth is less than a step of Meta's
		t.Errorf("400 in steps of 100: %d, %v", next, wait)
	}
}

func TestJitterIsThreeToEighteenSecondsAndAlwaysTheSame(t *testing.T) {
	t.Parallel()
	low, high := time.Hour, time.Duration(0)
	for i := range 2000 {
		id := fmt.Sprint("change-", i)
		j := changes.Jitter(id, i%5)
		if j != changes.Jitter(id, i%5) || j < 3*time.Second || j > 18*time.Second {
			t.Fatalf("%s: %v", id, j)
		}
		low, high = min(low, j), max(high, j)
	}
	if low > 3200*time.Millisecond || high < 17800*time.Millisecond {
		t.Errorf("from %v to %v", low, high)
	}
}

func TestACutNeverTakesMoreThanItsShare(t *testing.T) {
	t.Parallel()
	for current := int64(1); current < 20_000; current += 7 {
		left := changes.CutFrom(current, 0.2)
		if taken := current - left; taken*5 > current || (taken+1)*5 <= current {
			t.Fatalf("of %d it takes %d", current, taken)
		}
	}
}
