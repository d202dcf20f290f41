package server_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/bonafide-dev/bonafide/engine"
	"github.com/bonafide-dev/bonafide/internal/server"
)

// asks is a request with an attestation for each list of tests, a type in each.
func asks(lists ...[]string) string {
	var all []string
	for i, tests := range lists {
		all = append(all, fmt.Sprintf(`{"imageReference":"*","type":[{"name":"sbom/%d","conditions":{"all":[%s]}}]}`, i, strings.Join(tests, ",")))
	}
	return images(`,"attestations":[` + strings.Join(all, ",") + `]`)
}

// equals is n tests that compare an expression with a value.
func equals(n int, expression, value string) []string {
	tests := make([]string, n)
	for i := range tests {
		tests[i] = `{"key":` + strconv.Quote(`\{{ `+expression+` }}`) + `,"operator":"Equals","value":` + value + `}`
	}
	return tests
}

// TestCheckImagesBounds: a request is bounded as a whole, not only list by list
// or condition by condition, and what is above a bound is refused before
// anything is decided and before it costs much.
func TestCheckImagesBounds(t *testing.T) {
	bomb := strings.TrimSuffix(strings.Repeat("regex_match('a{600}',x)||", 300), "||")
	many := func(of []string, n int) (lists [][]string) {
		for range n {
			lists = append(lists, of)
		}
		return lists
	}
	types := strings.TrimSuffix(strings.Repeat(`{"name":"a"},`, 101), ",")
	cases := map[string]struct {
		reason string
		body   string
		want   string // in the refusal; "" if the request is decided
	}{
		"ManySmall":            {"a hundred conditions are decided", asks(many(equals(20, "a.b", "1"), 5)...), ""},
		"LongList":             {"so is a long list of licences", asks(equals(1, "a", "["+strings.TrimSuffix(strings.Repeat(`"Apache-2.0",`, 5000), ",")+"]")), ""},
		"R1Conditions":         {"of all attestations together", asks(many(equals(20, "a.b", "1"), 6)...), "attestations: expected at most 200 types and 100 conditions in all attestations"},
		"R1Types":              {"of all attestations together", images(`,"attestations":[{"imageReference":"*","type":[` + types + `]},{"imageReference":"*","type":[` + types + `]}]`), "attestations: expected at most 200 types"},
		"R1TypesOfOne":         {"", images(`,"attestations":[{"imageReference":"*","type":[` + types + `,` + types + `]}]`), "attestations[0].type: expected at most 200, got 202"},
		"R1Attestations":       {"", images(`,"attestations":[` + strings.TrimSuffix(strings.Repeat(`{"imageReference":"*","type":[{"name":"a"}]},`, 101), ",") + `]`), "attestations: expected at most 100, got 101"},
		"R1Text":               {"texts are kept until the images are decided", asks(equals(1, "a", `"`+strings.Repeat("a", 256<<10)+`"`)), "attestations: expected at most 262144 bytes, got "},
		"R1Values":             {"small values take more than their bytes", asks(equals(1, "a", "["+strings.TrimSuffix(strings.Repeat("[],", 20000), ",")+"]")), "attestations: expected at most 262144 bytes, got "},
		"R1Names":              {"", asks(equals(1, "a", `{"`+strings.Repeat("a", 256<<10)+`":1}`)), "attestations: expected at most 262144 bytes, got "},
		"R1UnknownFields":      {"what is not read was decoded too", images(`,"attestations":[{"x":"` + strings.Repeat("a", 256<<10) + `"}]`), "attestations: expected at most 262144 bytes, got "},
		"R1RegularExpressions": {"of one condition", asks(equals(10, bomb, "true")), "failed to create attestation list: attestations[0].type[0]: "},
		"R1Together":           {"each type is within the bounds of a type", asks(many(equals(1, "regex_match('a{600}',x)", "true"), 30)...), "failed to create attestation list: attestations["},
		"R1Expressions":        {"each type is within the bounds of a type", asks(many(equals(3, "a"+strings.Repeat(".b", 3000), "1"), 10)...), "failed to create attestation list: attestations["},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			if !json.Valid([]byte(tc.body)) {
				t.Fatal("the request is no JSON")
			}
			decider := never(t)
			if tc.want == "" {
				decider = each(prove)
			}
			doors := newServer(t, decider, checked).Doors()
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			w := postCheck(doors, tc.body)
			runtime.ReadMemStats(&after)
			if refused := w.Code == http.StatusNotAcceptable; refused != (tc.want != "") || !strings.Contains(w.Body.String(), tc.want) {
				t.Errorf("%s: want %q, got %d %s", tc.reason, tc.want, w.Code, w.Body)
			}
			if used := (after.TotalAlloc - before.TotalAlloc) >> 20; used > 64 {
				t.Errorf("want some megabytes at most, got %d MiB", used)
			}
		})
	}
}

// TestR45CheckImagesStopsReadingWhenTheTimeIsOver: compiling is within the
// request's time.
func TestR45CheckImagesStopsReadingWhenTheTimeIsOver(t *testing.T) {
	for range 20 { // a place that is free and a time that is over are both at hand
		ctx, cancel := context.WithCancel(t.Context())
		s := newServer(t, never(t), func(o *server.Options) {
			o.CheckImages.TrustPolicies = func(string) bool { cancel(); return true }
		})
		r := httptest.NewRequestWithContext(ctx, http.MethodPost, checkDoor, strings.NewReader(asks(equals(1, "a", "1"))))
		w := httptest.NewRecorder()
		s.Doors().ServeHTTP(w, r)
		if w.Code != http.StatusServiceUnavailable || w.Header().Get("Retry-After") == "" {
			t.Fatalf("want 503, got %d %s", w.Code, w.Body)
		}
	}
}

// TestR1RequestsAreReadAFewAtATime: parsing, matching and compiling take a
// processor, which the other doors need too.
func TestR1RequestsAreReadAFewAtATime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newServer(t, each(prove), checked)
		release := s.OccupyReading(t)
		if w := postCheck(s.Doors(), images("")); w.Code != http.StatusServiceUnavailable || w.Header().Get("Retry-After") == "" {
			t.Errorf("want 503, got %d %s", w.Code, w.Body)
		}
		release()
		for range 20 {
			if w := postCheck(s.Doors(), asks(equals(1, "a", "1"))); w.Code != http.StatusOK {
				t.Fatalf("want the places given back, got %d %s", w.Code, w.Body)
			}
		}
	})
}

// TestR1ConditionsAreHeldByFew: compiled conditions stay in memory until the
// images are decided, also those of a decision that outlives its caller.
func TestR1ConditionsAreHeldByFew(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		decided := make(chan struct{})
		s := newServer(t, server.DeciderFunc(func(ctx context.Context, r engine.Request) engine.Decision {
			if len(r.Extra) > 0 {
				<-decided // deaf to its context
			}
			return each(prove)(ctx, r)
		}), checked)
		body := asks(equals(1, "a", "1"))
		var asking sync.WaitGroup
		for range server.MaxConditionHolders {
			asking.Go(func() {
				if w := postCheck(s.Doors(), body); !strings.Contains(w.Body.String(), "expected a decision before the deadline") {
					t.Errorf("want no decision in time, got %d %s", w.Code, w.Body)
				}
			})
		}
		asking.Wait() // all callers have gone, the decisions have not
		if w := postCheck(s.Doors(), body); w.Code != http.StatusServiceUnavailable || w.Header().Get("Retry-After") == "" {
			t.Errorf("want 503, got %d %s", w.Code, w.Body)
		}
		if w := postCheck(s.Doors(), images("")); w.Code != http.StatusOK {
			t.Errorf("want a request without conditions answered, got %d %s", w.Code, w.Body)
		}
		close(decided)
		for range server.MaxConditionHolders + 1 {
			if w := postCheck(s.Doors(), body); w.Code != http.StatusOK {
				t.Fatalf("want the places given back, got %d %s", w.Code, w.Body)
			}
		}
		// A request that is refused gives its place back too.
		for range server.MaxConditionHolders + 1 {
			if w := postCheck(s.Doors(), asks(equals(1, "a[", "1"))); w.Code != http.StatusNotAcceptable {
				t.Fatalf("want 406, got %d %s", w.Code, w.Body)
			}
		}
	})
}
