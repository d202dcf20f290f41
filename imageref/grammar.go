package imageref

import (
	"fmt"
	"regexp"
)

// The grammar of github.com/distribution/reference v0.6 (regexp.go), which
// decides what a node's runtime accepts.
var (
	hostName = regexp.MustCompile(`^(?:(?:[a-zA-Z0-9]|[a-zA-Z0-9][a-zA-Z0-9-]*[a-zA-Z0-9])(?:\.(?:[a-zA-Z0-9]|[a-zA-Z0-9][a-zA-Z0-9-]*[a-zA-Z0-9]))*|\[[a-fA-F0-9:]+\])(?::[0-9]+)?$`)
	pathName = regexp.MustCompile(`^[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*(?:/[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*)*$`)
	tagName  = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9_.-]*$`)
	imageID  = regexp.MustCompile(`^(?:[a-f0-9]{64}|sha(?:256|384|512):[a-f0-9]+)$`)
)

// Limits of github.com/distribution/reference (RepositoryNameTotalLengthMax,
// TagRegexp) and of DNS (RFC 1035 §2.3.4).
const (
	maxHostLength = 253 + len(":65535")
	maxPathLength = 255
	maxTagLength  = 128
)

func checkPath(path string) error {
	if len(path) > maxPathLength {
		return fmt.Errorf("expected a repository path of at most %d characters, got %d", maxPathLength, len(path))
	}
	if !pathName.MatchString(path) {
		return fmt.Errorf("expected a repository path of lower-case letters, digits and single separators, got %q", clip(path))
	}
	return nil
}

func checkTag(tag string) error {
	if len(tag) > maxTagLength {
		return fmt.Errorf("expected a tag of at most %d characters, got %d", maxTagLength, len(tag))
	}
	if !tagName.MatchString(tag) {
		return fmt.Errorf("expected a tag of letters, digits, '_', '.' and '-', got %q", clip(tag))
	}
	return nil
}

// checkNotID refuses the identifier of an image on a node. containerd's CRI
// looks "sha256:<hex>" up among the images that it has, where it may also be cut
// short, so that what would run is not what a registry would be asked for.
// kubelet refuses the form without algorithm itself.
func checkNotID(s string) error {
	if imageID.MatchString(s) {
		return fmt.Errorf("%w: expected the name of an image, got the identifier %q", ErrReference, clip(s))
	}
	return nil
}
