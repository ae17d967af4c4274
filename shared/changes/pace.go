package changes

import (
	"crypto/sha256"
	"encoding/binary"
	"time"
)

// The limits that every write keeps. A window holds what was committed after its
// beginning, up to and including now: what is exactly as old as the window is
// out of it.
const (
	// Velocity is the part of its budget, one in so many, that an object may move
	// in VelocityWindow, all moves counted without their sign: up and back again is
	// two moves.
	Velocity       = 5
	VelocityWindow = 6 * time.Hour
	// CampaignActions is how many writes a campaign may see in ActionWindow.
	CampaignActions = 15
	// ObjectActions is Meta's own ceiling for one ad set's budget in ActionWindow.
	ObjectActions = 4
	ActionWindow  = time.Hour
	// RaiseBan is how long a fatigue cut forbids to give the object more.
	RaiseBan = 48 * time.Hour
	// Stale is how long a change may wait without a move before the figures that it
	// was decided on are too old to act on.
	Stale = 48 * time.Hour
	// MaxSends is how often one step is sent before it counts as failed: over some
	// hours, so that an outage of the platform is survived.
	MaxSends = 8

	minJitter = 3 * time.Second
	maxJitter = 18 * time.Second
)

// Move is a write that an object took.
type Move struct {
	At            time.Time
	Before, After int64
}

func (m Move) size() int64 { return abs(m.After - m.Before) }

// Jitter is how long a step waits beyond its time, 3 to 18 s, so that an account's
// changes do not all come at once. It follows from the change and the step alone.
func Jitter(changeID string, step int) time.Duration {
	sum := sha256.Sum256(binary.BigEndian.AppendUint64([]byte(changeID), uint64(step)))
	span := uint64((maxJitter-minJitter)/time.Millisecond) + 1
	return minJitter + time.Duration(binary.BigEndian.Uint64(sum[:8])%span)*time.Millisecond
}

// Retry is how long a step rests after its nth try was not made: half a minute,
// then four times as long each time, an hour at most.
func Retry(tries int) time.Duration {
	wait := 30 * time.Second
	for range tries - 1 {
		wait = min(4*wait, time.Hour)
	}
	return wait
}

// Pace says how far an object that has current may move towards target now:
// next is what to set, or wait is when there will be room. past are its moves,
// oldest first; grain is the smallest difference that the platform knows. Where
// next is current and there is no wait either, the object is too small to be moved
// in steps of a fifth.
func Pace(now time.Time, current, target int64, past []Move, grain int64) (next int64, wait time.Time) {
	var used int64
	base := current
	var first *Move
	for i := range past {
		m := &past[i]
		if !within(m.At, now, VelocityWindow) {
			continue
		}
		if first == nil {
			first = m
			base = m.Before
		}
		used += m.size()
	}
	if first != nil && past[len(past)-1].After != current {
		base = min(base, current) // somebody else moved it since: the smaller counts
	}
	room := base/Velocity - used
	want := abs(target - current)
	if want <= room {
		return target, time.Time{}
	}
	// Room for less than a hundredth is not worth a write of its own.
	room -= max(room, 0) % grain
	if room > 0 && room >= base/100 {
		if target > current {
			return current + room, time.Time{}
		}
		return current - room, time.Time{}
	}
	if first != nil {
		return current, first.At.Add(VelocityWindow)
	}
	return current, time.Time{}
}

// Steps is how many writes lead from current to target when nothing else moves
// the object; 0 where it is there or cannot be moved.
func Steps(current, target, grain int64) int {
	for n := 0; ; n++ {
		if current == target {
			return n
		}
		next, _ := Pace(time.Time{}, current, target, nil, grain)
		if next == current {
			return 0
		}
		current = next
	}
}

// Admit says when a window that held actions at these times, in any order, takes
// another one; the zero time: now.
func Admit(now time.Time, actions []time.Time, limit int, window time.Duration) time.Time {
	var inside []time.Time
	for _, at := range actions {
		if within(at, now, window) {
			inside = append(inside, at)
		}
	}
	if len(inside) < limit {
		return time.Time{}
	}
	// The one whose leaving makes room: all but limit-1 must have left.
	return nth(inside, len(inside)-limit).Add(window)
}

// within reports whether at is inside the window that ends now. What seems to be
// in the future, as after a clock was set back, is inside.
func within(at, now time.Time, window time.Duration) bool { return at.After(now.Add(-window)) }

func abs(n int64) int64 {
	if n < 0 {
		return -n
	}
	return n
}
