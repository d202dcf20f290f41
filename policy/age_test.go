package policy_test

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/bonafide-dev/bonafide/evidence"
	"github.com/bonafide-dev/bonafide/policy"
)

// states returns a proof of a statement that says a word, with a proven time some
// hours before noon, or none if that is negative, and one that it states itself.
func states(word string, proven int, own string) policy.Proof {
	p := stated(word, proven)
	p.Statement = policy.NewStatement("t", []byte(word+" "+own))
	return p
}

// dated reads the hours before noon that a statement states after its word.
func dated(s *policy.Statement) (time.Time, bool) {
	_, hours, _ := strings.Cut(string(s.Payload), " ")
	if hours == "" {
		return time.Time{}, false
	}
	d, err := time.ParseDuration(hours)
	if err != nil {
		return time.Time{}, true // a time that nobody checked
	}
	return noon.Add(-d), true
}

// saysFirst is a condition that a statement's word is yes.
type saysFirst struct{}

func (saysFirst) String() string { return "says yes first" }

func (saysFirst) Check(_ context.Context, in policy.ConditionInput) error {
	if !strings.HasPrefix(string(in.Statement.Payload), "yes") {
		return &evidence.Problem{Reason: evidence.ConditionNotMet}
	}
	return nil
}

// TestR32AgeComesFromSignedData has statements that state a time beside the proven
// one: the earlier decides.
func TestR32AgeComesFromSignedData(t *testing.T) {
	one := func(p ...policy.Proof) []policy.Proof { return p }
	cases := map[string]struct {
		reason  string
		proofs  []policy.Proof
		q       policy.Quantifier
		undated bool
		want    policy.Outcome
		first   evidence.Reason
	}{
		"StatedYoung":        {"only it says when", one(states("yes", -1, "24h")), policy.Any, false, allowed, ""},
		"StatedOld":          {"only it says when", one(states("yes", -1, "49h")), policy.Any, false, denied, evidence.ConditionNotMet},
		"NotAsked":           {"a claim that asks for proven times", one(states("yes", -1, "24h")), policy.Any, true, denied, evidence.TimestampMissing},
		"ProvenOld":          {"it was there before it says", one(states("yes", 49, "1h")), policy.Any, false, denied, evidence.ConditionNotMet},
		"StatedOldProvenNow": {"an old scan that was signed again", one(states("yes", 1, "49h")), policy.Any, false, denied, evidence.ConditionNotMet},
		"BothYoung":          {"both say so", one(states("yes", 1, "2h")), policy.Any, false, allowed, ""},
		"Neither":            {"nobody says when", one(states("yes", -1, "")), policy.Any, false, denied, evidence.TimestampMissing},
		"ZeroTime":           {"a time that is none", one(states("yes", -1, "soon")), policy.Any, false, denied, evidence.TimestampMissing},
		"ZeroTimeProven":     {"beside one that is proven", one(states("yes", 1, "soon")), policy.Any, false, allowed, ""},
		"Ahead":              {"a time that has not come", one(states("yes", -1, "-1h")), policy.Any, false, denied, evidence.ConditionNotMet},
		"ClocksDiffer":       {"by a few minutes", one(states("yes", -1, "-4m")), policy.Any, false, allowed, ""},
		"AheadButProven":     {"the proven time is earlier", one(states("yes", 1, "-1h")), policy.Any, false, allowed, ""},
		"NewestByStated":     {"the newest by its own word", one(states("no", -1, "30h"), states("yes", -1, "20h")), policy.Newest, false, allowed, ""},
		"NewestUnmet":        {"the newest says no", one(states("yes", -1, "30h"), states("no", -1, "20h")), policy.Newest, false, denied, evidence.ConditionNotMet},
		"NewestMixed":        {"one is proven, one states", one(states("yes", 10, ""), states("no", -1, "20h")), policy.Newest, false, allowed, ""},
		"NewestReplayed":     {"signing an old one again does not make it the newest", one(states("no", 5, ""), states("yes", 1, "40h")), policy.Newest, false, denied, evidence.ConditionNotMet},
		"NewestOneTimeless":  {"it could be the newest", one(states("yes", 1, "1h"), states("yes", -1, "")), policy.Newest, false, denied, evidence.TimestampMissing},
		"EveryOneOld":        {"one fails", one(states("yes", -1, "1h"), states("yes", -1, "49h")), policy.Every, false, denied, evidence.ConditionNotMet},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			c := claimBy("x", tc.q)
			c.Conditions, c.MaxAge, c.Dated = []policy.Condition{saysFirst{}}, 48*time.Hour, dated
			if tc.undated {
				c.Dated = nil
			}
			f := evaluateClaim(t, c, policy.Stated{Proofs: tc.proofs, Whole: true}, false)
			var first evidence.Reason
			if len(f.Problems) > 0 {
				first = f.Problems[0].Reason
			}
			if f.Outcome != tc.want || first != tc.first {
				t.Errorf("%s: want %s %s, got %s %s", tc.reason, tc.want, tc.first, f.Outcome, first)
			}
		})
	}
}

// TestR32AgeWithoutSignedDataSaysSo: nobody should look for a clock.
func TestR32AgeWithoutSignedDataSaysSo(t *testing.T) {
	c := claimBy("x", policy.Any)
	c.MaxAge, c.Dated = time.Hour, dated
	f := evaluateClaim(t, c, policy.Stated{Proofs: []policy.Proof{states("yes", -1, "")}, Whole: true}, false)
	if text := f.Problems[0].Error(); !strings.Contains(text, "age does not come from signed data") {
		t.Errorf("want it said that no signed data tells the age, got %q", text)
	}
}

// TestR36StatedTimesAreHidden: a time that a statement states is what it says; a
// proven one is the log's.
func TestR36StatedTimesAreHidden(t *testing.T) {
	year := noon.Format("2006")
	for _, private := range []bool{false, true} {
		c := claimBy("x", policy.Any)
		c.MaxAge, c.Dated = time.Hour, dated
		f := evaluateClaim(t, c, policy.Stated{Proofs: []policy.Proof{states("yes", -1, "48h"), states("yes", 49, "")}, Whole: true}, private)
		var told []bool
		for _, p := range f.Problems {
			told = append(told, strings.Contains(p.Got, year))
		}
		if want := []bool{!private, true}; !slices.Equal(told, want) {
			t.Errorf("private %t: want times told %v, got %v", private, want, told)
		}
	}
}

// TestTogether has findings that must all be allowed.
func TestTogether(t *testing.T) {
	problem := &evidence.Problem{Reason: evidence.NotSigned}
	of := func(outcomes ...policy.Outcome) []policy.Finding {
		var all []policy.Finding
		for _, o := range outcomes {
			all = append(all, policy.Finding{Outcome: o, Problems: []*evidence.Problem{problem}})
		}
		return all
	}
	for name, tc := range map[string]struct {
		of   []policy.Finding
		want policy.Outcome
	}{
		"All":       {of(allowed, allowed), allowed},
		"OneDenied": {of(allowed, undecided, denied), denied},
		"OneOpen":   {of(allowed, undecided), undecided},
		"R48None":   {nil, denied},
	} {
		f := policy.Together("here", "all", tc.of)
		if f.Outcome != tc.want || (f.Outcome == allowed) != (len(f.Problems) == 0) || f.Path != "here" || len(f.Children) != len(tc.of) {
			t.Errorf("%s: want %s, got %+v", name, tc.want, f)
		}
	}
}
