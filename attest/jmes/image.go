package jmes

import (
	"fmt"
	"strings"

	"github.com/bonafide-dev/bonafide/imageref"
)

// An imageName is an image as Kyverno spells it: Docker Hub is named, but its
// official images get no "library/", and what has neither tag nor digest has the
// tag latest.
type imageName struct{ registry, path, tag, digest string }

// longestImage bounds the name of an image: a host, a path of 255 characters, a
// tag of 128 and a digest fit.
const longestImage = 1024

// parseImage reads an image as Kyverno does. What it is about is checked by
// reading it as an image reference first.
func parseImage(s string) (imageName, error) {
	if _, err := imageref.Parse(s); err != nil {
		return imageName{}, fmt.Errorf("expected an image: %w", err)
	}
	var n imageName
	rest, digest, _ := strings.Cut(s, "@")
	n.digest = digest
	if i := strings.LastIndexByte(rest, ':'); i > strings.LastIndexByte(rest, '/') {
		rest, n.tag = rest[:i], rest[i+1:]
	}
	n.registry, n.path = "docker.io", rest
	if host, path, slash := strings.Cut(rest, "/"); slash && isHost(host) {
		n.registry, n.path = host, path
	}
	if n.tag == "" && n.digest == "" {
		n.tag = "latest"
	}
	return n, nil
}

// isHost tells a registry's host from the first segment of a path on Docker Hub.
func isHost(s string) bool {
	return strings.ContainsAny(s, ".:") || s == "localhost" || strings.ToLower(s) != s
}

func (n imageName) repository() string { return n.registry + "/" + n.path }

// reference is the image by its digest, or else by its tag.
func (n imageName) reference() string {
	if n.digest != "" {
		return n.repository() + "@" + n.digest
	}
	return n.repository() + ":" + n.tag
}

// imageOf returns the variable `image`: the image that is verified, spelled as
// it was asked for, with the digest that was verified.
func imageOf(r imageref.Reference, verified imageref.Digest) map[string]any {
	n, err := parseImage(r.Original())
	if err != nil { // a reference that code built rather than read
		n = imageName{registry: r.Repository().Host(), path: r.Repository().Path(), tag: r.Tag()}
		if !r.Digest().IsZero() {
			n.digest = r.Digest().String()
		}
	}
	if n.path == "" {
		return map[string]any{}
	}
	image := map[string]any{
		"registry":  n.registry,
		"path":      n.path,
		"name":      n.path[strings.LastIndexByte(n.path, '/')+1:],
		"reference": n.reference(),
	}
	if n.tag != "" {
		image["tag"] = n.tag
		image["referenceWithTag"] = n.repository() + ":" + n.tag
	}
	if !verified.IsZero() {
		image["digest"] = verified.String()
	}
	return image
}
