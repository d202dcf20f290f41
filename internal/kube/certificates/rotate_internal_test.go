package certificates

import (
	"testing"
	"time"
)

var noon = time.Date(2030, 1, 2, 12, 0, 0, 0, time.UTC)

func defaults() lives {
	return lives{ca: DefaultCALife, leaf: DefaultLeafLife, overlap: DefaultOverlap}
}

// rotating is a content whose new authority was announced at noon, and its two
// authorities.
func rotating(t *testing.T) (c *content, newer, older pair) {
	t.Helper()
	first, err := fresh(noon, defaults(), []string{"a.example.com"}, nil, step{})
	if err != nil {
		t.Fatal(err)
	}
	second, err := first.to.announce(noon, defaults(), step{})
	if err != nil {
		t.Fatal(err)
	}
	return second.to, second.to.authorities[0], second.to.authorities[1]
}

// TestLeafThatIsRenewedWithinAnOverlapIsOfTheOldAuthority asks for a leaf while
// callers may not have the new authority yet, by the clock or by what was seen.
func TestLeafThatIsRenewedWithinAnOverlapIsOfTheOldAuthority(t *testing.T) {
	c, newer, older := rotating(t)
	cases := map[string]struct {
		at      moment
		byNewer bool
	}{
		"Early":    {moment{now: noon.Add(DefaultOverlap - time.Second), since: noon}, false},
		"JustSeen": {moment{now: noon.Add(DefaultOverlap), since: noon.Add(DefaultOverlap - seenFor + time.Second)}, false},
		"Due":      {moment{now: noon.Add(DefaultOverlap), since: noon.Add(DefaultOverlap - seenFor)}, true},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			s, err := c.next(tc.at, defaults(), []string{"a.example.com"}, orderLeaf)
			if err != nil || s == nil {
				t.Fatalf("want a step, got %v, %v", s, err)
			}
			if got := s.to.leaf.isFrom(newer); got != tc.byNewer {
				t.Errorf("want it issued by the new authority %t, got %t", tc.byNewer, got)
			}
			if got := s.to.leaf.isFrom(older); got == tc.byNewer {
				t.Errorf("want it issued by the old authority %t, got %t", !tc.byNewer, got)
			}
			if kept := s.to.authorities[1].key != nil; kept == tc.byNewer {
				t.Errorf("want the old authority's key kept %t, got %t", !tc.byNewer, kept)
			}
			if c.authorities[1].key == nil {
				t.Error("want the content as it was")
			}
		})
	}
}

func TestLeafDoesNotOutliveItsAuthority(t *testing.T) {
	authority, err := newAuthority(noon, DefaultLeafLife/2)
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := authority.issue(noon, DefaultLeafLife, []string{"a.example.com"})
	if err != nil {
		t.Fatal(err)
	}
	if !leaf.certificate.NotAfter.Equal(authority.certificate.NotAfter) {
		t.Errorf("want %s, got %s", authority.certificate.NotAfter, leaf.certificate.NotAfter)
	}
}

func TestSightingBeginsAnewWhereTheClockIsSetBack(t *testing.T) {
	c, _, _ := rotating(t)
	var s sighting
	for i, at := range []struct{ now, want time.Time }{
		{noon, noon}, {noon.Add(time.Hour), noon}, {noon.Add(-time.Hour), noon.Add(-time.Hour)}, {noon, noon.Add(-time.Hour)},
	} {
		if got := s.see(c, at.now); !got.Equal(at.want) {
			t.Errorf("look %d: want seen since %s, got %s", i, at.want, got)
		}
	}
	other, _, _ := rotating(t)
	if got := s.see(other, noon.Add(time.Minute)); !got.Equal(noon.Add(time.Minute)) {
		t.Errorf("another content: want seen since now, got %s", got)
	}
}

func TestRepairsPauseEverLonger(t *testing.T) {
	var r repairs
	now := noon
	if r.wait(now) {
		t.Error("want the first at once")
	}
	for _, seconds := range []int{10, 20, 40, 80, 160, 320, 640, 1280, 2560, 3600, 3600} {
		r.made(now)
		pause := time.Duration(seconds) * time.Second
		if !r.wait(now.Add(pause - 1)) {
			t.Errorf("want a pause of %s", pause)
		}
		if now = now.Add(pause); r.wait(now) {
			t.Errorf("want the pause over after %s", pause)
		}
	}
	r.made(now)
	if r.wait(now.Add(-time.Second)) {
		t.Error("a clock that was set back: want no wait")
	}
	r.made(now.Add(2*lastRepairPause + 1))
	if r.pause != firstRepairPause {
		t.Errorf("after a quiet time: want %s, got %s", firstRepairPause, r.pause)
	}
}
