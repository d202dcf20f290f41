package registry_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/bonafide-dev/bonafide/evidence"
	"github.com/bonafide-dev/bonafide/imageref"
	"github.com/bonafide-dev/bonafide/registry"
)

func descriptors(n int, mark string) []evidence.Descriptor {
	var all []evidence.Descriptor
	for i := range n {
		all = append(all, evidence.Descriptor{MediaType: imageType, Digest: imageref.DigestOf(fmt.Appendf(nil, "%s %d", mark, i)), Size: 100})
	}
	return all
}

var subject = imageref.DigestOf([]byte("subject"))

func referrers(t testing.TB, c *registry.Client, f *fake) (evidence.Referrers, error) {
	t.Helper()
	repository := f.ref(t, "acme/app").Repository()
	return sourceFor(t, c, repository).Referrers(t.Context(), repository, subject)
}

func TestReferrersPages(t *testing.T) {
	first, second := descriptors(3, "first"), descriptors(2, "second")
	f := startTLS(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Query().Get("n") == "" {
			w.Header().Set("Link", `<`+r.URL.Path+`?n=2>; rel="next"`)
			serve(indexType, indexJSON(t, first...))(w, r)
			return
		}
		serve(indexType, indexJSON(t, second...))(w, r)
	})
	got, err := referrers(t, clientFor(t, nil, f), f)
	if err != nil {
		t.Fatal(err)
	}
	want := evidence.Referrers{Descriptors: append(first, second...), Supported: true}
	if diff := cmp.Diff(want, got, cmp.Comparer(func(a, b imageref.Digest) bool { return a == b })); diff != "" {
		t.Errorf("referrers (-want +got):\n%s", diff)
	}
}

func TestReferrersAPIIsMissing(t *testing.T) {
	cases := map[string]struct {
		reason    string
		handler   http.HandlerFunc
		supported bool
		want      evidence.Reason
	}{
		"NotFound":     {"most registries without it", status(404), false, ""},
		"BadRequest":   {"some", status(400), false, ""},
		"NotAllowed":   {"some", status(405), false, ""},
		"NotAccepted":  {"some", status(406), false, ""},
		"OtherContent": {"a page for people", serve("text/html", []byte("hello")), false, ""},
		"Empty":        {"none is an answer", serve(indexType, []byte(`{"schemaVersion":2,"mediaType":"`+indexType+`","manifests":[]}`)), true, ""},
		"Unauthorized": {"could not be told", status(401), false, evidence.RegistryUnauthorized},
		"ServerError":  {"could not be told", status(500), false, evidence.RegistryUnavailable},
		"NotAnIndex":   {"an index that is none", serve(indexType, manifestJSON("x")), false, evidence.MalformedManifest},
		"Redirected":   {"storage that lacks it is no registry without it", redirect(to("/elsewhere")), false, evidence.RegistryRefused},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			f := startTLS(t, tc.handler)
			got, err := referrers(t, clientFor(t, nil, f), f)
			if tc.want != "" {
				wantReason(t, err, tc.want)
				return
			}
			if err != nil || got.Supported != tc.supported {
				t.Errorf("%s: want supported %t, got %t, %v", tc.reason, tc.supported, got.Supported, err)
			}
		})
	}
}

// The lack is remembered for a minute, and for one repository.
func TestReferrersAPIIsAskedAgain(t *testing.T) {
	f := startTLS(t, status(404))
	clock := newClock()
	c := clientFor(t, func(o *registry.Options) { o.Clock = clock.Now }, f)
	for i, step := range []struct {
		advance  time.Duration
		requests int
	}{{0, 1}, {59 * time.Second, 1}, {2 * time.Second, 2}} {
		clock.Advance(step.advance)
		if _, err := referrers(t, c, f); err != nil {
			t.Fatal(err)
		}
		if n := len(f.lines()); n != step.requests {
			t.Errorf("step %d: requests: want %d, got %d", i, step.requests, n)
		}
	}
	other := f.ref(t, "acme/other").Repository()
	if _, err := sourceFor(t, c, other).Referrers(t.Context(), other, subject); err != nil {
		t.Fatal(err)
	}
	if n := len(f.lines()); n != 3 {
		t.Errorf("another repository: want its own request, got %d in all", n)
	}
}

// A digest that the registry does not know says nothing about its API: what
// refers to another digest is found.
func TestReferrersOfAnUnknownDigest(t *testing.T) {
	for _, code := range []string{"MANIFEST_UNKNOWN", "NAME_UNKNOWN"} {
		t.Run(code, func(t *testing.T) {
			f := startTLS(t, func(w http.ResponseWriter, r *http.Request) {
				if strings.HasSuffix(r.URL.Path, "/"+subject.String()) {
					serve(indexType, indexJSON(t, descriptors(1, "x")...))(w, r)
					return
				}
				w.WriteHeader(http.StatusNotFound)
				fmt.Fprintf(w, `{"errors":[{"code":%q}]}`, code)
			})
			c := clientFor(t, nil, f)
			repository := f.ref(t, "acme/app").Repository()
			got, err := sourceFor(t, c, repository).Referrers(t.Context(), repository, imageref.DigestOf([]byte("unknown")))
			if err != nil || got.Supported {
				t.Fatalf("unknown digest: want no list, got %+v, %v", got, err)
			}
			if got, err = referrers(t, c, f); err != nil || len(got.Descriptors) != 1 {
				t.Errorf("known digest: want one referrer, got %+v, %v", got, err)
			}
		})
	}
}

func TestR1TenThousandReferrersAreCut(t *testing.T) {
	f := startTLS(t, serve(indexType, indexJSON(t, descriptors(10_000, "x")...)))
	got, err := referrers(t, clientFor(t, nil, f), f)
	if err != nil {
		t.Fatal(err)
	}
	if len(got.Descriptors) != registry.DefaultReferrers || !got.Cut {
		t.Errorf("referrers: want %d and cut, got %d, cut %t", registry.DefaultReferrers, len(got.Descriptors), got.Cut)
	}
}

func TestR1ExactlyFullListIsNotCut(t *testing.T) {
	f := startTLS(t, serve(indexType, indexJSON(t, descriptors(registry.DefaultReferrers, "x")...)))
	got, err := referrers(t, clientFor(t, nil, f), f)
	if err != nil || got.Cut || len(got.Descriptors) != registry.DefaultReferrers {
		t.Errorf("referrers: want %d, not cut, got %d, cut %t, %v", registry.DefaultReferrers, len(got.Descriptors), got.Cut, err)
	}
}

func TestR1EndlessPagesAreCut(t *testing.T) {
	pages := 0
	f := startTLS(t, func(w http.ResponseWriter, r *http.Request) {
		pages++
		w.Header().Set("Link", fmt.Sprintf(`<%s?page=%d>; rel="next"`, r.URL.Path, pages))
		serve(indexType, indexJSON(t))(w, r)
	})
	got, err := referrers(t, clientFor(t, nil, f), f)
	if err != nil || !got.Cut {
		t.Errorf("referrers: want a cut list, got %+v, %v", got, err)
	}
	if n := len(f.lines()); n != registry.DefaultReferrerPages {
		t.Errorf("requests: want %d, got %d", registry.DefaultReferrerPages, n)
	}
}

func TestR1PageLoopIsRefused(t *testing.T) {
	for name, link := range map[string]string{"Itself": "?", "FirstPage": "?page=1"} {
		t.Run(name, func(t *testing.T) {
			f := startTLS(t, func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("Link", `<`+link+`>; rel=next`)
				serve(indexType, indexJSON(t))(w, r)
			})
			_, err := referrers(t, clientFor(t, nil, f), f)
			wantReason(t, err, evidence.RegistryProtocol)
			if n := len(f.lines()); n > 2 {
				t.Errorf("requests: want at most 2, got %d", n)
			}
		})
	}
}

func TestR6NextPageStaysOnTheRegistry(t *testing.T) {
	other := startTLS(t, serve(indexType, indexJSON(t)))
	for name, link := range map[string]string{
		"OtherHost": other.server.URL + "/v2/acme/app/referrers/" + subject.String() + "?n=2",
		"OtherPath": "/v2/other/secret/referrers/" + subject.String(),
		"UpPath":    "../../../token",
		"UserInfo":  "//a:b@HOST/v2/acme/app/referrers/" + subject.String() + "?n=2",
		"PlainHTTP": "http://HOST/v2/acme/app/referrers/" + subject.String() + "?n=2",
	} {
		t.Run(name, func(t *testing.T) {
			var f *fake
			f = startTLS(t, func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("Link", `<`+strings.ReplaceAll(link, "HOST", f.host)+`>; rel="next"`)
				serve(indexType, indexJSON(t))(w, r)
			})
			_, err := referrers(t, clientFor(t, withCredential(robot), f, other), f)
			wantReason(t, err, evidence.RegistryRefused)
		})
	}
	if n := len(other.lines()); n != 0 {
		t.Errorf("requests to the other host: want none, got %d", n)
	}
}

func TestNextLink(t *testing.T) {
	cases := map[string]struct {
		reason string
		header string
		want   string
	}{
		"Plain":     {"as the specification has it", `</a?n=2>; rel="next"`, "/a?n=2"},
		"Unquoted":  {"a token", `</a>; rel=next`, "/a"},
		"Several":   {"the one with the relation", `</p>; rel="prev", </a>; rel="next"`, "/a"},
		"Relations": {"a list of relations", `</a>; rel="last NEXT"`, "/a"},
		"Comma":     {"a comma in the target", `</a?x=1,2>; rel="next"`, "/a?x=1,2"},
		"Quoted":    {"a comma in quotes", `</p>; title="a, <b>; rel=next"; rel=prev, </a>; rel=next`, "/a"},
		"Escaped":   {"quotes in quotes", `</p>; title="\"; rel=next"; rel=prev`, ""},
		"FirstRel":  {"a second rel does not count", `</a>; rel=prev; rel=next`, ""},
		"NoTarget":  {"nothing to follow", `rel="next"`, ""},
		"Open":      {"cut off", `</a`, ""},
		"Other":     {"no next", `</a>; rel="first"`, ""},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			if got := registry.NextLink(tc.header); got != tc.want {
				t.Errorf("%s: want %q, got %q", tc.reason, tc.want, got)
			}
		})
	}
}

func TestChallenge(t *testing.T) {
	cases := map[string]struct {
		reason string
		header []string
		scheme string
		params map[string]string
	}{
		"Bearer":       {"as registries have it", []string{`Bearer realm="https://a/t",service="s",scope="repository:a/b:pull,push"`}, "bearer", map[string]string{"realm": "https://a/t", "service": "s", "scope": "repository:a/b:pull,push"}},
		"Spaces":       {"spaces and case", []string{`bEARER  REALM = "https://a/t" ,  Service=s`}, "bearer", map[string]string{"realm": "https://a/t", "service": "s"}},
		"Escapes":      {"escaped quotes", []string{`Bearer realm="https://a/\"t"`}, "bearer", map[string]string{"realm": `https://a/"t`}},
		"BothInOne":    {"bearer wins", []string{`Basic realm="x", Bearer realm="https://a/t"`}, "bearer", map[string]string{"realm": "https://a/t"}},
		"BothInTwo":    {"bearer wins", []string{`Basic realm="x"`, `Bearer realm="https://a/t"`}, "bearer", map[string]string{"realm": "https://a/t"}},
		"Negotiate":    {"other schemes are passed over", []string{`Negotiate, Basic realm="x"`}, "basic", map[string]string{"realm": "x"}},
		"Token68":      {"with data", []string{`Negotiate YII=, Basic realm="x"`}, "basic", map[string]string{"realm": "x"}},
		"BasicBare":    {"no parameters", []string{`Basic`}, "basic", map[string]string{}},
		"NoRealm":      {"a bearer without realm cannot be answered", []string{`Bearer service="s"`}, "", nil},
		"FirstRealm":   {"the first of two counts", []string{`Bearer realm="https://a/t",realm="https://b/t"`}, "bearer", map[string]string{"realm": "https://a/t"}},
		"Unterminated": {"reading ends", []string{`Bearer realm="https://a/t`}, "", nil},
		"Nothing":      {"no header", nil, "", nil},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			scheme, params, _ := registry.Challenge(tc.header...)
			if scheme != tc.scheme {
				t.Errorf("%s: scheme: want %q, got %q", tc.reason, tc.scheme, scheme)
			}
			if diff := cmp.Diff(tc.params, params); diff != "" {
				t.Errorf("%s: parameters (-want +got):\n%s", tc.reason, diff)
			}
		})
	}
}

// A challenge cannot make us ask for more than pulling.
func TestScopesAreForPullingOnly(t *testing.T) {
	cases := map[string]struct {
		asked string
		want  []string
	}{
		"Own":     {"repository:acme/app:pull", []string{"repository:acme/app:pull"}},
		"Push":    {"repository:acme/app:pull,push", []string{"repository:acme/app:pull"}},
		"Other":   {"repository:mirror/acme/app:*", []string{"repository:acme/app:pull", "repository:mirror/acme/app:pull"}},
		"Foreign": {"aws", []string{"repository:acme/app:pull", "aws"}},
		"Many":    {"a b c d e f", []string{"repository:acme/app:pull", "a", "b", "c"}},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(tc.want, registry.Scopes("acme/app", tc.asked)); diff != "" {
				t.Errorf("scopes (-want +got):\n%s", diff)
			}
		})
	}
}
