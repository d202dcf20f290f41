package policy_test

import (
	"testing"
	"time"

	"github.com/bonafide-dev/bonafide/policy"
)

func TestR37ExceptionIsActive(t *testing.T) {
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	cases := map[string]struct {
		reason     string
		expires    time.Time
		breakGlass bool
		invalid    error
		want       bool
	}{
		"Zero":               {"without an end it never holds", time.Time{}, false, nil, false},
		"JustBefore":         {"", now.Add(1), false, nil, true},
		"AtItsEnd":           {"from then on it is void", now, false, nil, false},
		"After":              {"", now.Add(-1), false, nil, false},
		"Invalid":            {"nobody knows what it means", now.Add(time.Hour), false, errBoom, false},
		"WholeLife":          {"", now.Add(policy.MaxExceptionLife), false, nil, true},
		"SkewedClock":        {"whoever wrote it may be ahead", now.Add(policy.MaxExceptionLife + policy.MaxClockSkew), false, nil, true},
		"TooLong":            {"void from the start", now.Add(policy.MaxExceptionLife + policy.MaxClockSkew + 1), false, nil, false},
		"BreakGlass":         {"", now.Add(policy.MaxBreakGlassLife), true, nil, true},
		"BreakGlassTooLong":  {"void from the start", now.Add(policy.MaxBreakGlassLife + policy.MaxClockSkew + 1), true, nil, false},
		"BreakGlassAtItsEnd": {"", now, true, nil, false},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			e := policy.Exception{Expires: c.expires, BreakGlass: c.breakGlass, Invalid: c.invalid}
			if got := e.Active(now); got != c.want {
				t.Errorf("%s: want %t, got %t", c.reason, c.want, got)
			}
		})
	}
}

func TestR48ZeroExceptionLiftsNothing(t *testing.T) {
	var e policy.Exception
	if e.Active(time.Time{}) {
		t.Error("want the zero exception never to hold")
	}
	if e.Lifts(policy.Origin{}) {
		t.Error("want a policy without a name never to be lifted")
	}
}
