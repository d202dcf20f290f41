package policyset_test

import (
	"path/filepath"
	"testing"

	"github.com/bonafide-dev/bonafide/internal/policyset"
)

const denyList = "apiVersion: bonafide.dev/v1alpha1\nkind: ImageDenyList\nmetadata: {name: stop}\nspec: {images: [ghcr.io/acme/bad], reason: a test}\n"

const exception = "apiVersion: bonafide.dev/v1alpha1\nkind: VerificationException\nmetadata: {name: lift}\n" +
	"spec: {images: [ghcr.io/acme/old], reason: a test, expires: '2199-01-01T00:00:00Z'}\n"

// TestFilesHoldRulings: deny lists and exceptions stand beside policies.
func TestFilesHoldRulings(t *testing.T) {
	folder := t.TempDir()
	write(t, folder, map[string]string{"a.yaml": policyText("a"), "b.yaml": denyList, "c.yaml": exception, "release.pub": publicKey})
	set, err := policyset.Load([]string{folder}, options())
	if err != nil {
		t.Fatal(err)
	}
	if len(set.Policies) != 1 || len(set.Denials) != 1 || len(set.Exceptions) != 1 || set.Denials[0].Origin.Name != "stop" {
		t.Errorf("expected one of each, got %+v", set)
	}
}

// TestR48ExceptionsAloneProtectNothing: a deny list alone does.
func TestR48ExceptionsAloneProtectNothing(t *testing.T) {
	for text, want := range map[string]bool{denyList: true, exception: false} {
		folder := t.TempDir()
		write(t, folder, map[string]string{"a.yaml": text})
		if _, err := policyset.Load([]string{filepath.Join(folder, "a.yaml")}, options()); (err == nil) != want {
			t.Errorf("%s: expected it to load %t, got %v", text, want, err)
		}
	}
}
