package slack

import "time"

// NextDue returns the first time after now at which a zone's clocks show hour, on day
// where one is given. An hour that the clocks leave out is the one after it.
func NextDue(now time.Time, zone *time.Location, hour int, day *time.Weekday) time.Time {
	local := now.In(zone)
	for i := 0; ; i++ {
		at := time.Date(local.Year(), local.Month(), local.Day()+i, hour, 0, 0, 0, zone)
		if at.After(now) && (day == nil || at.Weekday() == *day) {
			return at.UTC()
		}
	}
}
