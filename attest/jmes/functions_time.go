package jmes

import (
	"errors"
	"fmt"
	"strconv"
	"time"
)

// timeFunctions are Kyverno's. Now is the decision's time.
func timeFunctions() []function {
	one, two, three := []kinds{aString}, []kinds{aString, aString}, []kinds{aString, aString, aString}
	return []function{
		{name: "time_since", args: three, run: timeSince},
		{name: "time_now", run: func(c call) (any, error) { return c.current(func(t time.Time) time.Time { return t }) }},
		{name: "time_now_utc", run: func(c call) (any, error) { return c.current(time.Time.UTC) }},
		{name: "time_to_cron", args: one, run: timeToCron},
		{name: "time_add", args: two, run: timeAdd},
		{name: "time_parse", args: two, run: timeParse},
		{name: "time_utc", args: one, run: timeUTC},
		{name: "time_diff", args: two, run: timeDiff},
		{name: "time_before", args: two, run: func(c call) (any, error) {
			t, err := c.times(2)
			return err == nil && t[0].Before(t[1]), err
		}},
		{name: "time_after", args: two, run: func(c call) (any, error) {
			t, err := c.times(2)
			return err == nil && t[0].After(t[1]), err
		}},
		{name: "time_between", args: three, run: func(c call) (any, error) {
			t, err := c.times(3)
			return err == nil && t[0].After(t[1]) && t[0].Before(t[2]), err
		}},
		{name: "time_truncate", args: two, run: timeTruncate},
	}
}

// longestTime bounds times and their layouts.
const longestTime = 256

func parseTime(layout, s string) (time.Time, error) {
	if len(layout) > longestTime || len(s) > longestTime {
		return time.Time{}, fmt.Errorf("expected a time and a layout of at most %d bytes each", longestTime)
	}
	if layout == "" {
		layout = time.RFC3339
	}
	t, err := time.Parse(layout, s)
	if err != nil {
		return t, fmt.Errorf("expected a time: %w", err)
	}
	return t, nil
}

func parseSpan(s string) (time.Duration, error) {
	d, is := parseDuration(s)
	if !is {
		return 0, fmt.Errorf("expected a duration, got %q", clip(s, maxShown))
	}
	return d, nil
}

// times returns the first n arguments as times of RFC 3339.
func (c call) times(n int) ([]time.Time, error) {
	times := make([]time.Time, 0, n)
	for i := range n {
		t, err := parseTime("", c.string(i))
		if err != nil {
			return nil, err
		}
		times = append(times, t)
	}
	return times, nil
}

func (e *evaluator) clock() (time.Time, error) {
	if e.now.IsZero() {
		return e.now, errors.New("expected the time of the decision, got none")
	}
	return e.now, nil
}

func (c call) current(in func(time.Time) time.Time) (any, error) {
	now, err := c.clock()
	if err != nil {
		return nil, err
	}
	return in(now).Format(time.RFC3339), nil
}

// timeSince is the time from the second argument to the third, or to now if that
// is empty, in the layout of the first, or RFC 3339.
func timeSince(c call) (any, error) {
	from, err := parseTime(c.string(0), c.string(1))
	if err != nil {
		return nil, err
	}
	if c.string(2) == "" {
		now, err := c.clock()
		if err != nil {
			return nil, err
		}
		return span(from, now)
	}
	to, err := parseTime(c.string(0), c.string(2))
	if err != nil {
		return nil, err
	}
	return span(from, to)
}

// span returns a duration as text. Longer ones than it can express are an error:
// the greatest one would pass for the age of anything older.
func span(from, to time.Time) (any, error) {
	d := to.Sub(from)
	if !from.Add(d).Equal(to) {
		return nil, errOverflow
	}
	return d.String(), nil
}

func timeToCron(c call) (any, error) {
	t, err := c.times(1)
	if err != nil {
		return nil, err
	}
	return fmt.Sprintf("%d %d %d %d %d", t[0].Minute(), t[0].Hour(), t[0].Day(), t[0].Month(), t[0].Weekday()), nil
}

func timeAdd(c call) (any, error) {
	t, err := c.times(1)
	if err != nil {
		return nil, err
	}
	d, err := parseSpan(c.string(1))
	if err != nil {
		return nil, err
	}
	return t[0].Add(d).Format(time.RFC3339), nil
}

// timeParse reads a time in a layout; a layout that is a number means seconds
// since 1970.
func timeParse(c call) (any, error) {
	if _, err := strconv.ParseInt(c.string(0), 10, 64); err == nil {
		epoch, err := strconv.ParseInt(c.string(1), 10, 64)
		if err != nil {
			return nil, fmt.Errorf("expected seconds since 1970: %w", err)
		}
		return time.Unix(epoch, 0).UTC().Format(time.RFC3339), nil
	}
	if c.string(0) == "" {
		return nil, errors.New("expected a layout, got none")
	}
	t, err := parseTime(c.string(0), c.string(1))
	if err != nil {
		return nil, err
	}
	return t.Format(time.RFC3339), nil
}

func timeUTC(c call) (any, error) {
	t, err := c.times(1)
	if err != nil {
		return nil, err
	}
	return t[0].UTC().Format(time.RFC3339), nil
}

func timeDiff(c call) (any, error) {
	t, err := c.times(2)
	if err != nil {
		return nil, err
	}
	return span(t[0], t[1])
}

func timeTruncate(c call) (any, error) {
	t, err := c.times(1)
	if err != nil {
		return nil, err
	}
	d, err := parseSpan(c.string(1))
	if err != nil {
		return nil, err
	}
	return t[0].Truncate(d).Format(time.RFC3339), nil
}
