package jmes

import (
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"strings"

	"github.com/blang/semver/v4"
)

// nameFunctions are Kyverno's functions of versions, images and hosts.
func nameFunctions() []function {
	return []function{
		{name: "semver_compare", args: []kinds{aString, aString}, run: semverCompare},
		{name: "image_normalize", args: []kinds{aString}, run: imageNormalize},
		{name: "is_external_url", args: []kinds{aString}, run: isExternalURL},
	}
}

// semverCompare reports whether a version is in a range, such as ">=1.2.0 <2".
// What is no version is an error, in and out of every range.
func semverCompare(c call) (any, error) {
	v, err := parseVersion(c.string(0))
	if err != nil {
		return nil, err
	}
	if len(c.string(1)) > longestVersion {
		return nil, fmt.Errorf("expected a range of at most %d bytes, got %d", longestVersion, len(c.string(1)))
	}
	within, err := parseVersionRange(c.string(1))
	if err != nil {
		return nil, err
	}
	const reading = 64
	return within(v), c.step(reading)
}

// parseVersionRange guards the library's parser, which indexes what it splits.
func parseVersionRange(s string) (within semver.Range, err error) {
	defer func() {
		if fault := recover(); fault != nil {
			within, err = nil, fmt.Errorf("expected a range of versions, got %q", s)
		}
	}()
	if within, err = semver.ParseRange(s); err != nil {
		return nil, fmt.Errorf("expected a range of versions, got %q: %w", s, err)
	}
	return within, nil
}

func imageNormalize(c call) (any, error) {
	text := c.string(0)
	if len(text) > longestImage {
		return nil, fmt.Errorf("expected an image of at most %d bytes, got %d", longestImage, len(text))
	}
	name, err := parseImage(text)
	if err != nil {
		return nil, err
	}
	return name.reference(), c.produce(len(text))
}

// isExternalURL tells addresses on the Internet from others. Names are not looked
// up (TRUST R8), so that of one it can only be told that it is local; of other
// names it is not known, which is an error, as neither answer would be safe.
func isExternalURL(c call) (any, error) {
	if err := c.produce(len(c.string(0))); err != nil {
		return nil, err
	}
	u, err := url.Parse(c.string(0))
	if err != nil {
		return nil, errors.New("expected a URL")
	}
	host := strings.ToLower(strings.TrimSuffix(u.Hostname(), "."))
	if address, err := netip.ParseAddr(host); err == nil {
		address = address.Unmap()
		internal := address.IsLoopback() || address.IsPrivate() || address.IsLinkLocalUnicast() || address.IsUnspecified() || !address.IsGlobalUnicast()
		return !internal, nil
	}
	if host == "localhost" || strings.HasSuffix(host, ".localhost") {
		return false, nil
	}
	return nil, fmt.Errorf("expected a URL with an address, got host %q: names are not looked up", clip(host, maxShown))
}
