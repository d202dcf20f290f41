package evidence_test

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/bonafide-dev/bonafide/evidence"
	"github.com/bonafide-dev/bonafide/imageref"
)

const (
	hexA  = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
	descA = `{"mediaType":"a/b","digest":"sha256:` + hexA + `","size":2}`
)

func TestParseManifest(t *testing.T) {
	a := evidence.Descriptor{MediaType: "a/b", Digest: imageref.MustParseDigest("sha256:" + hexA), Size: 2}
	platform := a
	platform.Platform = &evidence.Platform{OS: "linux", Architecture: "arm", Variant: "v7"}
	full := a
	full.ArtifactType, full.Annotations = "t", map[string]string{"k": "v"}
	cases := map[string]struct {
		reason      string
		raw         string
		contentType string
		want        evidence.Manifest
	}{
		"Image": {
			reason: "every field", contentType: evidence.MediaTypeImage,
			raw:  `{"schemaVersion":2,"mediaType":"` + evidence.MediaTypeImage + `","config":` + descA + `,"layers":[` + descA + `],"subject":` + descA + `,"annotations":{"k":"v"}}`,
			want: evidence.Manifest{Descriptor: evidence.Descriptor{MediaType: evidence.MediaTypeImage, ArtifactType: "a/b"}, ArtifactType: "a/b", Config: &a, Layers: []evidence.Descriptor{a}, Subject: &a, Annotations: map[string]string{"k": "v"}},
		},
		"ArtifactType": {
			reason: "the manifest's own type goes before its config's",
			raw:    `{"schemaVersion":2,"mediaType":"` + evidence.MediaTypeImage + `","artifactType":"x/y","config":` + descA + `,"layers":[]}`,
			want:   evidence.Manifest{Descriptor: evidence.Descriptor{MediaType: evidence.MediaTypeImage, ArtifactType: "x/y"}, ArtifactType: "x/y", Config: &a},
		},
		"Index": {
			reason: "children with platforms", contentType: evidence.MediaTypeIndex + "; charset=utf-8",
			raw:  `{"schemaVersion":2,"manifests":[{"mediaType":"a/b","digest":"sha256:` + hexA + `","size":2,"platform":{"os":"linux","architecture":"arm","variant":"v7"}}]}`,
			want: evidence.Manifest{Untyped: true, Descriptor: evidence.Descriptor{MediaType: evidence.MediaTypeIndex}, Manifests: []evidence.Descriptor{platform}},
		},
		"DockerImage": {
			reason: "schema 2",
			raw:    `{"schemaVersion":2,"mediaType":"` + evidence.MediaTypeDockerImage + `","config":` + descA + `,"layers":[` + descA + `]}`,
			want:   evidence.Manifest{Descriptor: evidence.Descriptor{MediaType: evidence.MediaTypeDockerImage, ArtifactType: "a/b"}, ArtifactType: "a/b", Config: &a, Layers: []evidence.Descriptor{a}},
		},
		"DockerList": {
			reason: "schema 2's list", contentType: evidence.MediaTypeDockerIndex,
			raw:  `{"schemaVersion":2,"mediaType":"` + evidence.MediaTypeDockerIndex + `","manifests":[` + descA + `]}`,
			want: evidence.Manifest{Descriptor: evidence.Descriptor{MediaType: evidence.MediaTypeDockerIndex}, Manifests: []evidence.Descriptor{a}},
		},
		"ArtifactManifest": {
			reason: "no schemaVersion, blobs for layers", contentType: evidence.MediaTypeArtifactManifest,
			raw:  `{"mediaType":"` + evidence.MediaTypeArtifactManifest + `","artifactType":"x/y","blobs":[` + descA + `],"subject":` + descA + `}`,
			want: evidence.Manifest{Descriptor: evidence.Descriptor{MediaType: evidence.MediaTypeArtifactManifest, ArtifactType: "x/y"}, ArtifactType: "x/y", Layers: []evidence.Descriptor{a}, Subject: &a},
		},
		"LayoutImage": {
			reason: "neither type is given: the fields decide",
			raw:    `{"schemaVersion":2,"config":` + descA + `,"layers":[]}`,
			want:   evidence.Manifest{Untyped: true, Descriptor: evidence.Descriptor{MediaType: evidence.MediaTypeImage, ArtifactType: "a/b"}, ArtifactType: "a/b", Config: &a},
		},
		"LayoutIndex": {
			reason: "neither type is given, and a list that an encoder left null",
			raw:    `{"schemaVersion":2,"manifests":null}`,
			want:   evidence.Manifest{Untyped: true, Descriptor: evidence.Descriptor{MediaType: evidence.MediaTypeIndex}},
		},
		"DescriptorFields": {
			reason: "artifact type and annotations of an entry",
			raw:    `{"schemaVersion":2,"manifests":[{"mediaType":"a/b","digest":"sha256:` + hexA + `","size":2,"artifactType":"t","annotations":{"k":"v"},"urls":["https://x.test"],"data":"eA=="}]}`,
			want:   evidence.Manifest{Untyped: true, Descriptor: evidence.Descriptor{MediaType: evidence.MediaTypeIndex}, Manifests: []evidence.Descriptor{full}},
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			got, err := evidence.ParseManifest([]byte(tc.raw), tc.contentType)
			if err != nil {
				t.Fatalf("%s: %v", tc.reason, err)
			}
			tc.want.Raw = []byte(tc.raw)
			tc.want.Descriptor.Digest, tc.want.Descriptor.Size = imageref.DigestOf(tc.want.Raw), int64(len(tc.raw))
			if diff := cmp.Diff(tc.want, got, cmp.Comparer(func(x, y imageref.Digest) bool { return x == y })); diff != "" {
				t.Errorf("%s: -want +got:\n%s", tc.reason, diff)
			}
		})
	}
}

// refused says why each document must be refused.
type refused map[string]struct{ reason, raw, contentType string }

func (cases refused) run(t *testing.T) {
	t.Helper()
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			_, err := evidence.ParseManifest([]byte(tc.raw), tc.contentType)
			var p *evidence.Problem
			if !errors.As(err, &p) || p.Reason != evidence.MalformedManifest {
				t.Errorf("%s: want MalformedManifest, got %v", tc.reason, err)
			}
		})
	}
}

func TestR3AmbiguousManifests(t *testing.T) {
	image, index := `"mediaType":"`+evidence.MediaTypeImage+`"`, `"mediaType":"`+evidence.MediaTypeIndex+`"`
	refused{
		"Both":                 {reason: "CVE-2021-41190", raw: `{"schemaVersion":2,` + image + `,"config":` + descA + `,"layers":[],"manifests":[` + descA + `]}`},
		"BothByShape":          {reason: "no type at all", raw: `{"schemaVersion":2,"config":` + descA + `,"layers":[],"manifests":[]}`},
		"NullManifests":        {reason: "a name counts without a value", raw: `{"schemaVersion":2,` + image + `,"config":` + descA + `,"manifests":null}`},
		"IndexWithLayers":      {reason: "CVE-2021-41190", raw: `{"schemaVersion":2,` + index + `,"manifests":[],"layers":[]}`},
		"IndexWithConfig":      {reason: "CVE-2021-41190", raw: `{"schemaVersion":2,` + index + `,"manifests":[],"config":` + descA + `}`},
		"ImageWithBlobs":       {reason: "an artifact manifest's field", raw: `{"schemaVersion":2,` + image + `,"config":` + descA + `,"blobs":[]}`},
		"ArtifactWithLayers":   {reason: "an image's field", raw: `{"mediaType":"` + evidence.MediaTypeArtifactManifest + `","layers":[]}`},
		"OtherContentType":     {reason: "the registry calls an image an index", contentType: evidence.MediaTypeIndex, raw: `{"schemaVersion":2,` + image + `,"config":` + descA + `}`},
		"DockerContentType":    {reason: "or a Docker image", contentType: evidence.MediaTypeDockerImage, raw: `{"schemaVersion":2,` + image + `,"config":` + descA + `}`},
		"PlainContentType":     {reason: "or plain JSON", contentType: "application/json", raw: `{"schemaVersion":2,` + image + `,"config":` + descA + `}`},
		"ImageShapeAsIndex":    {reason: "the Content-Type decides and the fields contradict it", contentType: evidence.MediaTypeIndex, raw: `{"schemaVersion":2,"config":` + descA + `,"layers":[]}`},
		"BrokenContentType":    {reason: "not a media type", contentType: ";;", raw: `{"schemaVersion":2,` + image + `,"config":` + descA + `}`},
		"UnknownType":          {reason: "not a manifest", raw: `{"schemaVersion":2,"mediaType":"application/vnd.cncf.oras.artifact.manifest.v1+json"}`},
		"Schema1":              {reason: "unsigned schema 1", raw: `{"schemaVersion":1,"name":"x","tag":"y","fsLayers":[],"history":[]}`},
		"Schema1ContentType":   {reason: "signed schema 1", contentType: "application/vnd.docker.distribution.manifest.v1+prettyjws", raw: `{"schemaVersion":1}`},
		"Schema1InSchema2":     {reason: "one document for two readers", raw: `{"schemaVersion":2,` + image + `,"config":` + descA + `,"layers":[],"fsLayers":[{"blobSum":"x"}]}`},
		"Version1":             {reason: "schemaVersion 1 in an image", raw: `{"schemaVersion":1,` + image + `,"config":` + descA + `}`},
		"Version1InArtifact":   {reason: "schemaVersion 1 in an artifact manifest", raw: `{"schemaVersion":1,"mediaType":"` + evidence.MediaTypeArtifactManifest + `"}`},
		"NoVersion":            {reason: "schemaVersion is required", raw: `{` + image + `,"config":` + descA + `}`},
		"NoFields":             {reason: "no type and no fields to tell", raw: `{"schemaVersion":2}`},
		"IndexWithoutChildren": {reason: "manifests is required", raw: `{"schemaVersion":2,` + index + `}`},
		"NoConfig":             {reason: "config is required", raw: `{"schemaVersion":2,` + image + `,"layers":[]}`},
		"NullConfig":           {reason: "config is required", raw: `{"schemaVersion":2,` + image + `,"config":null,"layers":[]}`},
	}.run(t)
}

func TestR2DigestsInManifests(t *testing.T) {
	entry := func(d string) string {
		return `{"schemaVersion":2,"manifests":[{"mediaType":"a/b","digest":` + d + `,"size":2}]}`
	}
	refused{
		"Path":      {reason: "a digest that would leave its place in a URL", raw: entry(`"sha256:../../../x"`)},
		"Short":     {reason: "not 64 digits", raw: entry(`"sha256:aa"`)},
		"UpperCase": {reason: "another spelling of a digest", raw: entry(`"sha256:` + strings.ToUpper(hexA) + `"`)},
		"Algorithm": {reason: "an unknown algorithm", raw: entry(`"md5:` + hexA + `"`)},
		"Empty":     {reason: "none", raw: entry(`""`)},
		"Number":    {reason: "not a string", raw: entry(`1`)},
		"NoSize":    {reason: "no size", raw: `{"schemaVersion":2,"manifests":[{"mediaType":"a/b","digest":"sha256:` + hexA + `"}]}`},
		"Negative":  {reason: "a negative size", raw: `{"schemaVersion":2,"manifests":[{"mediaType":"a/b","digest":"sha256:` + hexA + `","size":-1}]}`},
		"Subject":   {reason: "a subject", raw: `{"schemaVersion":2,"config":` + descA + `,"subject":{"digest":"x","size":1}}`},
		"Config":    {reason: "a config", raw: `{"schemaVersion":2,"config":{"digest":"x","size":1}}`},
		"Layer":     {reason: "a layer", raw: `{"schemaVersion":2,"config":` + descA + `,"layers":[{"digest":"x","size":1}]}`},
		"Blob":      {reason: "a blob", raw: `{"mediaType":"` + evidence.MediaTypeArtifactManifest + `","blobs":[{"digest":"x","size":1}]}`},
	}.run(t)
}

func TestR4ManifestJSON(t *testing.T) {
	refused{
		"Twice":     {reason: "a name twice", raw: `{"schemaVersion":2,"config":` + descA + `,"config":` + descA + `}`},
		"TwiceDeep": {reason: "a name twice in a descriptor", raw: `{"schemaVersion":2,"config":{"digest":"sha256:` + hexA + `","size":1,"size":2}}`},
		"OtherCase": {reason: "names are matched by case, so this has no config", raw: `{"schemaVersion":2,"Config":` + descA + `}`},
		"Array":     {reason: "not an object", raw: `[]`},
		"Null":      {reason: "not an object", raw: `null`},
		"Trailing":  {reason: "a second value", raw: `{"schemaVersion":2,"config":` + descA + `}{}`},
		"NotJSON":   {reason: "no JSON", raw: `<html>`},
	}.run(t)
}

func TestR1ManifestSize(t *testing.T) {
	raw := []byte(`{"schemaVersion":2,"config":` + descA + `,"layers":[]}`)
	most := append(bytes.Repeat([]byte(" "), evidence.MaxManifestBytes-len(raw)), raw...)
	if _, err := evidence.ParseManifest(most, ""); err != nil {
		t.Errorf("want the largest manifest read, got %v", err)
	}
	_, err := evidence.ParseManifest(append(most, ' '), "")
	if p := evidence.ProblemOf(err); p == nil || p.Reason != evidence.LimitExceeded {
		t.Errorf("want LimitExceeded, got %v", err)
	}
}

func FuzzParseManifest(f *testing.F) {
	for _, mediaType := range append(evidence.ManifestMediaTypes(), "", "application/json") {
		f.Add([]byte(`{"schemaVersion":2,"mediaType":"`+mediaType+`","config":`+descA+`,"layers":[`+descA+`]}`), mediaType)
		f.Add([]byte(`{"schemaVersion":2,"manifests":[`+descA+`],"subject":`+descA+`}`), mediaType)
	}
	f.Add([]byte(`{"mediaType":"`+evidence.MediaTypeArtifactManifest+`","blobs":[`+descA+`]}`), "")
	f.Fuzz(func(t *testing.T, raw []byte, contentType string) {
		m, err := evidence.ParseManifest(raw, contentType)
		if err != nil {
			var p *evidence.Problem
			if !errors.As(err, &p) || !p.Undecided() {
				t.Fatalf("want an undecided problem, got %v", err)
			}
			return
		}
		if m.Descriptor.Digest != imageref.DigestOf(raw) || m.Descriptor.Size != int64(len(raw)) {
			t.Fatal("want the descriptor of the bytes")
		}
		if len(m.Manifests) > 0 && (m.Config != nil || len(m.Layers) > 0) {
			t.Fatalf("want one kind of manifest, got %s", raw)
		}
		for _, d := range append(m.Manifests, m.Layers...) {
			if d.Digest.IsZero() || d.Size < 0 {
				t.Fatalf("want parsed descriptors, got %v", d)
			}
		}
	})
}
