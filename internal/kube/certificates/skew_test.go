package certificates_test

import (
	"bytes"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/bonafide-dev/bonafide/internal/kube/certificates"
)

// TestNobodyRefusesACertificateThoughClocksDiffer lets the time of an authority go
// by for two replicas whose clocks differ, with the API server's between them. It has in
// its webhooks what was published after the last step.
func TestNobodyRefusesACertificateThoughClocksDiffer(t *testing.T) {
	const span = 260 * 24 * time.Hour
	for name, off := range map[string]time.Duration{
		"None": 0, "TenMinutesBehind": -10 * time.Minute, "AnHourAhead": time.Hour, "AnHourBehind": -time.Hour, "ADayAhead": 24 * time.Hour, "ADayBehind": -24 * time.Hour,
	} {
		t.Run(name, func(t *testing.T) {
			s := newScene(t)
			first, firstTicks := s.keeper(t, s.options())
			o := s.options()
			o.Now = s.clock.Off(off).Now
			second, secondTicks := s.keeper(t, o)
			published := first.CABundle()
			clocks := []func() time.Time{s.clock.Now, s.clock.Off(off / 2).Now, o.Now}
			for passed := time.Duration(0); passed < span; {
				tick(s, secondTicks)
				tick(s, firstTicks)
				tick(s, secondTicks)
				for _, k := range []*certificates.Keeper{first, second} {
					for i, now := range clocks {
						if err := handshake(k, published, now); err != nil {
							t.Fatalf("after %s, by clock %d: %v\n%s", passed, i, err, s.journal.Said())
						}
					}
				}
				published = first.CABundle()
				step := 48 * time.Hour
				if len(certificatesIn(published)) > 1 {
					step = 20 * time.Minute // a rotation goes on within hours
				}
				s.clock.Advance(step)
				passed += step
			}
			writes := s.journal.Count("wrote the certificate's Secret")
			t.Logf("%d writes", writes)
			// The first, a leaf every 60 days, and the three steps to another authority.
			if least, most := 7, 9; writes < least || writes > most {
				t.Errorf("want %d to %d writes, got %d\n%s", least, most, writes, s.journal.Said())
			}
		})
	}
}

// TestRotationIsNotHurriedByAClockAhead has a replica whose clock says at once
// that the overlap is over.
func TestRotationIsNotHurriedByAClockAhead(t *testing.T) {
	s := newScene(t)
	first, _ := s.keeper(t, s.options())
	leaf := serial(first)
	s.edit(t, func(secret *corev1.Secret) {
		metav1.SetMetaDataAnnotation(&secret.ObjectMeta, certificates.RotateAnnotation, "ca")
	})
	settle(t, s, 2, first)
	o := s.options()
	ahead := s.clock.Off(3 * certificates.DefaultOverlap)
	o.Now = ahead.Now
	second, ticks := s.keeper(t, o)
	tick(s, ticks)
	ahead.Advance(59 * time.Second)
	tick(s, ticks)
	if got := serial(second); got != leaf {
		t.Fatalf("before it was seen for a minute: want %s, got %s", leaf, got)
	}
	ahead.Advance(time.Second)
	tick(s, ticks)
	if serial(second) == leaf {
		t.Fatal("after a minute: want the new authority's certificate")
	}
	settle(t, s, 2, first, second)
	ahead.Advance(59 * time.Second)
	tick(s, ticks)
	settle(t, s, 2, first, second)
}

// TestClocksFarApartReplaceEachOthersEverMoreSlowly has two replicas of which
// neither takes what the other makes for longer than a moment.
func TestClocksFarApartReplaceEachOthersEverMoreSlowly(t *testing.T) {
	s := newScene(t)
	_, firstTicks := s.keeper(t, s.options())
	o := s.options()
	o.Now = s.clock.Off(certificates.DefaultLeafLife * 3 / 4).Now
	_, secondTicks := s.keeper(t, o)
	const minutes = 500
	for range minutes {
		firstTicks <- s.clock.Now()
		secondTicks <- s.clock.Now()
		s.clock.Advance(time.Minute)
	}
	if writes := s.journal.Count("wrote the certificate's Secret"); writes < 4 || writes > 60 {
		t.Errorf("in %d minutes: want a few writes, got %d\n%s", minutes, writes, s.journal.Said())
	}
	if !strings.Contains(s.journal.Said(), "the clocks of replicas differ by more than its certificates live") {
		t.Errorf("want the log to name the cause, got\n%s", s.journal.Said())
	}
}

func TestClocksThatDifferAreSaid(t *testing.T) {
	s := newScene(t)
	s.keeper(t, s.options())
	for name, tc := range map[string]struct {
		off  time.Duration
		said int
	}{"AnHour": {-time.Hour, 1}, "ADay": {-24 * time.Hour, 1}, "AMoment": {-2 * time.Minute, 0}, "Ahead": {time.Hour, 0}} {
		t.Run(name, func(t *testing.T) {
			behind := &scene{client: s.client, namespace: s.namespace}
			behind.clock.Advance(tc.off)
			_, ticks := behind.keeper(t, behind.options())
			tick(behind, ticks)
			if got := behind.journal.Count("event Secret/bonafide-tls Warning ClocksDiffer: a replica whose clock is "); got != tc.said {
				t.Errorf("want %d Events, got\n%s", tc.said, behind.journal.Said())
			}
			if got := behind.journal.Count("level=WARN"); got != tc.said {
				t.Errorf("want %d warnings, got\n%s", tc.said, behind.journal.Said())
			}
		})
	}
}

// TestAnnouncedAuthorityFromAheadIsLeftAlone holds that an authority that is not
// valid yet here, but issues nothing yet either, is no fault.
func TestAnnouncedAuthorityFromAheadIsLeftAlone(t *testing.T) {
	s := newScene(t)
	first, err := certificates.New(s.options())
	if err != nil {
		t.Fatal(err)
	}
	if err := first.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	o := s.options()
	o.Now = s.clock.Off(3 * 24 * time.Hour).Now
	ahead, _ := s.keeper(t, o)
	s.edit(t, func(secret *corev1.Secret) {
		metav1.SetMetaDataAnnotation(&secret.ObjectMeta, certificates.RotateAnnotation, "ca")
	})
	settle(t, s, 2, ahead)
	second, ticks := s.keeper(t, s.options())
	tick(s, ticks)
	if said := s.journal.Said(); strings.Contains(said, "Warning CertificateReplaced") {
		t.Errorf("want nothing repaired, got\n%s", said)
	}
	if !bytes.Equal(ahead.CABundle(), second.CABundle()) || serial(second) != serial(first) {
		t.Error("want the bundle with both, and the certificate that there was")
	}
}
