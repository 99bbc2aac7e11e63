package engine

import (
	"errors"
	"fmt"
	"time"
)

// ErrEvery: a text that says no interval.
var ErrEvery = errors.New(`not an interval: a duration of at least a minute and at most a year ("6h"), or a time of day ("02:00")`)

const longest = 366 * 24 * time.Hour

// interval takes an interval apart: a duration, or with none a time of day.
func interval(every string) (d time.Duration, clock time.Time, err error) {
	if d, err = time.ParseDuration(every); err == nil && d >= time.Minute && d <= longest {
		return d, clock, nil
	}
	if clock, err = time.Parse("15:04", every); err != nil {
		err = fmt.Errorf("%w: %.40q", ErrEvery, every)
	}
	return 0, clock, err
}

// NextTime is when something is due again that is done every so often, after a time. A time of day is in
// after's time zone, and comes once on every day: where clocks are put forward over it, when they would
// have shown it otherwise; where it comes twice, one of the two.
func NextTime(every string, after time.Time) (time.Time, error) {
	d, clock, err := interval(every)
	if err != nil {
		return time.Time{}, err
	}
	if d > 0 {
		return after.Add(d), nil
	}
	y, m, day := after.Date()
	for ahead := range 3 { // in places a day was left out
		if next := onDay(y, m, day+ahead, clock, after.Location()); next.After(after) {
			return next, nil
		}
	}
	return after.Add(24 * time.Hour), nil // no such place is known
}

// onDay is a time of day on a day.
func onDay(y int, m time.Month, day int, clock time.Time, zone *time.Location) time.Time {
	at := time.Date(y, m, day, clock.Hour(), clock.Minute(), 0, 0, zone)
	if at.Hour() == clock.Hour() && at.Minute() == clock.Minute() {
		return at
	}
	// Left out on this day; which side of the gap time.Date takes is not said. By the clock of the day before:
	_, offset := time.Date(y, m, day-1, 12, 0, 0, 0, zone).Zone()
	return time.Date(y, m, day, clock.Hour(), clock.Minute(), 0, 0, time.UTC).Add(-time.Duration(offset) * time.Second).In(zone)
}

// pulledIn is next, or sooner where no clock that only went forward can have put it so far away. A schedule
// that was run before the clock went back is not run again for that, but neither does it wait until
// the clock is there again.
func pulledIn(every string, next, now time.Time) (time.Time, error) {
	first, err := NextTime(every, now)
	if err != nil || !next.After(first) {
		return next, err
	}
	if d, _, _ := interval(every); d > 0 {
		return first, nil // a whole interval from now, so not twice within one
	}
	// A time of day may have been today's already, before the clock went back over it.
	second, err := NextTime(every, first)
	if err != nil || !next.After(second) {
		return next, err
	}
	return first, nil
}
