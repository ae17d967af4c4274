package changes

import (
	"crypto/sha256"
	"encoding/binary"
	"slices"
	"time"
)

// The limits that every write keeps. A window ends now and contains now; an event
// exactly as old as the window is outside it.
const (
	// Velocity: in VelocityWindow our writes to an object add up to at most one part
	// in Velocity of the smallest budget that one of them started from. A raise and
	// a cut both count, without their sign.
	Velocity       = 5
	VelocityWindow = 6 * time.Hour
	// CampaignActions is the number of writes that a campaign takes in ActionWindow.
	CampaignActions = 15
	// ObjectActions is Meta's own limit for one ad set's budget in ActionWindow.
	ObjectActions = 4
	ActionWindow  = time.Hour
	// RaiseBan is how long a fatigue cut forbids to raise the object.
	RaiseBan = 48 * time.Hour
	// Stale is how long a change may wait without a step before the figures that it
	// was decided on are too old.
	Stale = 48 * time.Hour
	// MaxSends is how often one step is sent before the change fails: the tries span
	// some hours, so that an outage of the platform is survived.
	MaxSends = 8

	minJitter = 3 * time.Second
	maxJitter = 18 * time.Second
)

// Move is one of our writes to an object, which counts for the velocity limit.
// Undos and what they undo are no moves.
type Move struct {
	At            time.Time
	Before, After int64
}

func (m Move) size() int64 { return abs(m.After - m.Before) }

// Jitter is how long a step waits after its due time, 3 to 18 s, so that an
// account's changes do not arrive all at once. It follows from the change and the
// step alone.
func Jitter(changeID string, step int) time.Duration {
	sum := sha256.Sum256(binary.BigEndian.AppendUint64([]byte(changeID), uint64(step)))
	span := uint64((maxJitter-minJitter)/time.Millisecond) + 1
	return minJitter + time.Duration(binary.BigEndian.Uint64(sum[:8])%span)*time.Millisecond
}

// Backoff is how long to wait after the nth try of a step was not made: half a
// minute, then four times as long each time, at most an hour.
func Backoff(tries int) time.Duration {
	wait := 30 * time.Second
	for range tries - 1 {
		wait = min(4*wait, time.Hour)
	}
	return wait
}

// Pace says how far an object may move now from current towards target: next is
// the amount to set, or wait is when there will be room. past are its moves,
// oldest first; grain is the smallest difference that the platform knows. Where
// next is current and wait is zero, the object is too small to be moved in steps
// of a fifth.
func Pace(now time.Time, current, target int64, past []Move, grain int64) (next int64, wait time.Time) {
	recent := past
	for len(recent) > 0 && !within(recent[0].At, now, VelocityWindow) {
		recent = recent[1:]
	}
	room := roomFor(current, recent)
	if abs(target-current) <= room {
		return target, time.Time{}
	}
	// Room for less than a hundredth is not worth a write of its own.
	room -= max(room, 0) % grain
	if room > 0 && room >= (room+used(recent))*Velocity/100 {
		if target > current {
			return current + room, time.Time{}
		}
		return current - room, time.Time{}
	}
	for i := range recent { // there is room once enough moves have left the window
		left := roomFor(current, recent[i+1:])
		if left -= max(left, 0) % grain; left > 0 {
			return current, recent[i].At.Add(VelocityWindow)
		}
	}
	return current, time.Time{}
}

// roomFor is by how much an object that has current may move beside the moves.
func roomFor(current int64, moves []Move) int64 {
	smallest := current
	for _, m := range moves {
		smallest = min(smallest, m.Before)
	}
	return smallest/Velocity - used(moves)
}

func used(moves []Move) (sum int64) {
	for _, m := range moves {
		sum += m.size()
	}
	return sum
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

// Admit says when a window that holds actions at these times, in any order, takes
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
	slices.SortFunc(inside, time.Time.Compare)
	return inside[len(inside)-limit].Add(window) // all but limit-1 must have left
}

// within reports whether at is inside the window that ends now. A time in the
// future, as after a clock was set back, is inside.
func within(at, now time.Time, window time.Duration) bool { return at.After(now.Add(-window)) }

func abs(n int64) int64 {
	if n < 0 {
		return -n
	}
	return n
}
