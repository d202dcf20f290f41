package native_test

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/bonafide-dev/bonafide/dialect"
	"github.com/bonafide-dev/bonafide/dialect/native"
	"github.com/bonafide-dev/bonafide/imageref"
	"github.com/bonafide-dev/bonafide/policy"
)

var (
	someDigest  = "sha256:" + strings.Repeat("0123456789abcdef", 4)
	rulingClock = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
)

// rulings reads a document of one of the kinds of rulings. spec is flow YAML.
func rulings(tb testing.TB, kind, metadata, spec string, now func() time.Time) (dialect.Rulings, error) {
	tb.Helper()
	text := "apiVersion: bonafide.dev/v1alpha1\nkind: " + kind + "\nmetadata: {name: it" + metadata + "}\nspec: " + spec + "\n"
	documents, err := dialect.Parse("ruling.yaml", []byte(text))
	if err != nil || len(documents) != 1 {
		tb.Fatalf("want one document, got %d, %v", len(documents), err)
	}
	return native.New(fakeSigners{}, native.Options{Now: now}).Rulings(documents[0])
}

func fixed() time.Time { return rulingClock }

func TestRulingOfAnException(t *testing.T) {
	found, err := rulings(t, "VerificationException", ", creationTimestamp: 2026-03-01T11:00:00Z", `{
		images: ["`+someDigest+`", "ghcr.io/acme/**", "reg.test:5000/app"],
		match: {namespaces: [shop], workloads: [{kind: Pod, name: "web-*"}, {kind: Job, name: load.1}]},
		policies: [signed, shop/own], reason: " ticket 7 ", expires: 2026-03-02T13:00:00+02:00, breakGlass: true}`, fixed)
	if err != nil || len(found.Exceptions) != 1 || len(found.Denials) != 0 {
		t.Fatalf("want one exception, got %+v, %v", found, err)
	}
	got := found.Exceptions[0]
	want := policy.Exception{
		Origin:     policy.Origin{Dialect: "native", Kind: "VerificationException", Name: "it", File: "ruling.yaml:1"},
		Images:     policy.Images{Digests: []imageref.Digest{imageref.DigestOf(nil)}},
		Namespaces: []string{"shop"},
		Workloads:  []policy.Workload{{Kind: "Pod", Name: "web-*"}, {Kind: "Job", Name: "load.1"}},
		Policies:   []string{"signed", "shop/own"}, Reason: "ticket 7", Expires: time.Date(2026, 3, 2, 11, 0, 0, 0, time.UTC), BreakGlass: true,
		Notes: []policy.Note{
			{Path: "spec.breakGlass", Text: "the exception is for an emergency: every use of it is announced", Weakening: true},
			{Path: "spec", Text: "policies are lifted from 3 entries of spec.images until 2026-03-02T11:00:00Z", Weakening: true},
		},
	}
	want.Images.Digests[0], err = imageref.ParseDigest(someDigest)
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range []string{"ghcr.io/acme/**", "reg.test:5000/app"} {
		p, err := imageref.ParsePattern(s)
		if err != nil {
			t.Fatal(err)
		}
		want.Images.Patterns = append(want.Images.Patterns, p)
	}
	exact := cmp.Comparer(func(a, b policy.ImagePattern) bool { return a == b })
	same := cmp.Comparer(func(a, b imageref.Digest) bool { return a == b })
	if diff := cmp.Diff(want, got, exact, same); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

func TestRulingOfADenyList(t *testing.T) {
	found, err := rulings(t, "ImageDenyList", "", `{images: [nginx, "`+someDigest+`", "**"], reason: stolen key}`, nil)
	if err != nil || len(found.Denials) != 1 || len(found.Exceptions) != 0 {
		t.Fatalf("want one list, got %+v, %v", found, err)
	}
	d := found.Denials[0]
	if len(d.Images.Digests) != 1 || len(d.Images.Patterns) != 2 || d.Reason != "stolen key" || d.Origin.Kind != "ImageDenyList" || d.Origin.Namespace != "" {
		t.Errorf("got %+v", d)
	}
	if len(d.Notes) != 1 || d.Notes[0].Path != "spec.images[2]" || d.Notes[0].Weakening {
		t.Errorf("want a note on what ** stops, got %+v", d.Notes)
	}
}

// What is wrong with a ruling, and where.
func TestRulingErrors(t *testing.T) {
	const exception, denyList = "VerificationException", "ImageDenyList"
	soon := `, reason: r, expires: "2026-03-02T00:00:00Z"`
	cases := map[string]struct{ kind, metadata, spec, path, message string }{
		"UnknownField":           {exception, "", `{images: [a]` + soon + `, untl: x}`, "spec.untl", "unknown field"},
		"UnknownFieldOfList":     {denyList, "", `{images: [a], reason: r, expires: x}`, "spec.expires", "unknown field"},
		"NoImages":               {exception, "", `{images: []` + soon + `}`, "spec.images", "at least one"},
		"NoImagesOfList":         {denyList, "", `{reason: r}`, "spec.images", "at least one"},
		"NoReason":               {exception, "", `{images: [a], expires: "2026-03-02T00:00:00Z"}`, "spec.reason", "got none"},
		"BlankReason":            {denyList, "", `{images: [a], reason: "  "}`, "spec.reason", "got none"},
		"LongReason":             {denyList, "", `{images: [a], reason: ` + strings.Repeat("x", 1025) + `}`, "spec.reason", "at most 1024"},
		"NoExpiry":               {exception, "", `{images: [a], reason: r}`, "spec.expires", "got none"},
		"ExpiryIsNoTime":         {exception, "", `{images: [a], reason: r, expires: tomorrow}`, "spec.expires", "another form"},
		"R13Tag":                 {exception, "", `{images: ["ghcr.io/acme/app:1"]` + soon + `}`, "spec.images[0]", "without tag"},
		"R13TagPattern":          {exception, "", `{images: ["app:v*"]` + soon + `}`, "spec.images[0]", "without tag"},
		"R13TagBesideDigest":     {exception, "", `{images: ["app:v1@` + someDigest + `"]` + soon + `}`, "spec.images[0]", "stand alone"},
		"TagOfList":              {denyList, "", `{images: [b, "reg.test:5000/app:1"], reason: r}`, "spec.images[1]", "without tag"},
		"NamedDigest":            {denyList, "", `{images: ["app@` + someDigest + `"], reason: r}`, "spec.images[0]", "stand alone"},
		"ShortDigest":            {denyList, "", `{images: ["sha256:abc"], reason: r}`, "spec.images[0]", "64 hexadecimal"},
		"OtherAlgorithm":         {denyList, "", `{images: ["sha512:` + strings.Repeat("ab", 64) + `"], reason: r}`, "spec.images[0]", "64 hexadecimal"},
		"Malformed":              {denyList, "", `{images: ["*/app"], reason: r}`, "spec.images[0]", "host"},
		"Twice":                  {denyList, "", `{images: [a, a], reason: r}`, "spec.images[1]", "each once"},
		"EveryImage":             {exception, "", `{images: ["**"]` + soon + `}`, "spec.images[0]", "breakGlass"},
		"R17Namespaced":          {exception, ", namespace: shop", `{images: [a]` + soon + `}`, "metadata.namespace", "whole cluster"},
		"R17NamespacedList":      {denyList, ", namespace: shop", `{images: [a], reason: r}`, "metadata.namespace", "whole cluster"},
		"EmptyMatch":             {exception, "", `{images: [a], match: {}` + soon + `}`, "spec.match", "got neither"},
		"NamespacePattern":       {exception, "", `{images: [a], match: {namespaces: ["sho*"]}` + soon + `}`, "spec.match.namespaces[0]", "name of a namespace"},
		"WorkloadKind":           {exception, "", `{images: [a], match: {workloads: [{kind: Deploymnet, name: web}]}` + soon + `}`, "spec.match.workloads[0].kind", "Deployment"},
		"WorkloadEveryName":      {exception, "", `{images: [a], match: {workloads: [{kind: Pod, name: "*"}]}` + soon + `}`, "spec.match.workloads[0].name", "name of an object"},
		"WorkloadWithoutName":    {exception, "", `{images: [a], match: {workloads: [{kind: Pod}]}` + soon + `}`, "spec.match.workloads[0].name", "name of an object"},
		"PolicyStar":             {exception, "", `{images: [a], policies: ["*"]` + soon + `}`, "spec.policies[0]", "cluster policy"},
		"PolicyTwoSlashes":       {exception, "", `{images: [a], policies: [a/b/c]` + soon + `}`, "spec.policies[0]", "cluster policy"},
		"NoPolicies":             {exception, "", `{images: [a], policies: []` + soon + `}`, "spec.policies", "leave the field out"},
		"TooLong":                {exception, ", creationTimestamp: 2026-03-01T12:00:00Z", `{images: [a], reason: r, expires: "2026-05-30T12:00:01Z"}`, "spec.expires", "2160 hours"},
		"TooLongFromNow":         {exception, "", `{images: [a], reason: r, expires: "2026-05-30T12:00:01Z"}`, "spec.expires", "2160 hours after now"},
		"BreakGlassTooLong":      {exception, ", creationTimestamp: 2026-03-01T12:00:00Z", `{images: [a], reason: r, breakGlass: true, expires: "2026-03-02T12:00:01Z"}`, "spec.expires", "24 hours"},
		"BreakGlassFromNow":      {exception, "", `{images: [a], reason: r, breakGlass: true, expires: "2026-03-02T12:00:01Z"}`, "spec.expires", "24 hours after now"},
		"OldBreakGlassIsNoOther": {exception, ", creationTimestamp: 2026-02-20T12:00:00Z", `{images: [a], reason: r, breakGlass: true, expires: "2026-03-02T00:00:00Z"}`, "spec.expires", "24 hours"},
		"CreatedInTheFuture":     {exception, ", creationTimestamp: 2026-03-01T12:05:01Z", `{images: [a]` + soon + `}`, "metadata.creationTimestamp", "clocks"},
		"CreationIsNoTime":       {exception, ", creationTimestamp: yesterday", `{images: [a]` + soon + `}`, "metadata.creationTimestamp", "another form"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			found, err := rulings(t, c.kind, c.metadata, c.spec, fixed)
			if err == nil || len(found.Exceptions)+len(found.Denials) > 0 {
				t.Fatalf("want an error and no ruling, got %+v", found)
			}
			all := dialect.ErrorsOf(err, "")
			if len(all) != 1 || all[0].Path != c.path || !strings.Contains(all[0].Error(), c.message) || all[0].Line == 0 {
				t.Errorf("want %q about %s alone, got %v", c.message, c.path, err)
			}
		})
	}
}

// The bounds themselves are within.
func TestRulingExpiryAtTheBound(t *testing.T) {
	cases := map[string]struct {
		metadata, spec string
		now            func() time.Time
		notes          int
	}{
		"NinetyDays":         {", creationTimestamp: 2026-03-01T12:00:00Z", `expires: "2026-05-30T12:00:00Z"`, fixed, 1},
		"NinetyDaysFromNow":  {"", `expires: "2026-05-30T12:00:00Z"`, fixed, 1},
		"NullCreation":       {", creationTimestamp: null", `expires: "2026-05-30T12:00:00Z"`, fixed, 1},
		"BreakGlass":         {", creationTimestamp: 2026-03-01T12:00:00Z", `breakGlass: true, expires: "2026-03-02T12:00:00Z"`, fixed, 2},
		"WithinClockSkew":    {", creationTimestamp: 2026-03-01T12:05:00Z", `expires: "2026-05-30T12:05:00Z"`, fixed, 1},
		"EndedIsVoid":        {", creationTimestamp: 2026-02-01T12:00:00Z", `expires: "2026-03-01T12:00:00Z"`, fixed, 2},
		"WithoutClock":       {", creationTimestamp: 2026-03-01T12:00:00Z", `expires: "2026-05-30T12:00:00Z"`, nil, 1},
		"WithoutAnyTimeToGo": {"", `expires: "2036-05-30T12:00:00Z"`, nil, 1}, // who decides by it judges
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			found, err := rulings(t, "VerificationException", c.metadata, "{images: [a], reason: r, "+c.spec+"}", c.now)
			if err != nil || len(found.Exceptions) != 1 || len(found.Exceptions[0].Notes) != c.notes {
				t.Fatalf("want an exception with %d notes, got %+v, %v", c.notes, found, err)
			}
		})
	}
	if _, err := rulings(t, "VerificationException", ", creationTimestamp: 2026-03-01T12:00:00Z", `{images: [a], reason: r, expires: "2026-05-30T12:00:01Z"}`, nil); err == nil {
		t.Error("without a clock: want the document's own creation to bound it")
	}
}

// A Deployment's Pods, and names that anybody can choose, are pointed out.
func TestRulingNotesOnWorkloads(t *testing.T) {
	found, err := rulings(t, "VerificationException", "", `{images: [a], match: {workloads: [{kind: Deployment, name: web}]}, reason: r, expires: "2026-03-02T00:00:00Z"}`, fixed)
	if err != nil || len(found.Exceptions) != 1 {
		t.Fatalf("want one exception, got %v", err)
	}
	var got []bool
	for _, n := range found.Exceptions[0].Notes {
		if n.Path == "spec.match.workloads" {
			got = append(got, n.Weakening)
		}
	}
	if diff := cmp.Diff([]bool{true, false}, got); diff != "" {
		t.Errorf("weakenings: -want +got:\n%s", diff)
	}
}

// Whatever is read as a ruling lifts nothing and stops nothing by a tag, and an
// exception has an end, a reason and an image.
func FuzzRulings(f *testing.F) {
	for _, s := range []string{`["a"]`, `["ghcr.io/acme/**", "` + someDigest + `"]`, `["a:1"]`, `["a@` + someDigest + `"]`, `["**"]`, `[""]`, `["reg.test:5000/a"]`} {
		f.Add(s, `reason: r, expires: "2026-03-02T00:00:00Z"`)
		f.Add(s, `match: {namespaces: [a], workloads: [{kind: Pod, name: "a*"}]}, policies: [a], reason: r, breakGlass: true, expires: "2026-03-02T00:00:00Z"`)
	}
	f.Fuzz(func(t *testing.T, images, rest string) {
		for _, kind := range []string{"VerificationException", "ImageDenyList"} {
			documents, err := dialect.Parse("f", []byte("apiVersion: bonafide.dev/v1alpha1\nkind: "+kind+"\nmetadata: {name: it}\nspec: {images: "+images+", "+rest+"}\n"))
			if err != nil || len(documents) != 1 || documents[0].Kind.Kind != kind {
				continue
			}
			found, err := native.New(fakeSigners{}, native.Options{Now: fixed}).Rulings(documents[0])
			if err != nil {
				continue
			}
			for _, e := range found.Exceptions {
				named(t, e.Images, e.Reason)
				if e.Expires.IsZero() || e.Expires.After(rulingClock.Add(e.Life())) {
					t.Errorf("expires %s", e.Expires)
				}
			}
			for _, d := range found.Denials {
				named(t, d.Images, d.Reason)
			}
		}
	})
}

func named(t *testing.T, images policy.Images, reason string) {
	t.Helper()
	if len(images.Digests)+len(images.Patterns) == 0 || reason == "" {
		t.Error("no image or no reason")
	}
	for _, p := range images.Patterns {
		if s := p.String(); strings.Contains(s, "@") || strings.Contains(s[strings.LastIndex(s, "/")+1:], ":") {
			t.Errorf("%q has a tag or a digest", s)
		}
	}
}
