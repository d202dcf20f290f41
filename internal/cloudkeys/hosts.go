package cloudkeys

import "regexp"

// The hosts of each provider, whole and in the form of [imageref.Repository]:
// lower case, no port, no trailing dot. A pattern fixes every label that the
// provider owns and one label for each that its customers choose, so that no name
// of somebody else matches (TRUST R6, CVE-2025-27403).
var (
	// Registry hosts of accounts (docs.aws.amazon.com, "Amazon ECR endpoints").
	// public.ecr.aws is left out: it is read without credentials.
	amazonHost = regexp.MustCompile(`^[0-9]{12}\.dkr\.ecr(?:-fips)?\.[a-z]{2}(?:-[a-z]{2,12}){1,3}-[0-9]{1,2}\.amazonaws\.com(\.cn)?$`)
	// chinaRegion is where the second form of them is, and nowhere else.
	chinaRegion = regexp.MustCompile(`^[0-9]{12}\.dkr\.ecr\.cn-`)
	// gcr.io with its locations, and Artifact Registry's hosts by location
	// (cloud.google.com, "Repository and image names").
	googleHost = regexp.MustCompile(`^(?:(?:[a-z0-9][a-z0-9-]{0,61}\.)?gcr\.io|[a-z0-9][a-z0-9-]{0,40}-docker\.pkg\.dev)$`)
	// A registry's name has 5 to 50 letters and digits, and with a domain name
	// label a hyphen and a hash after it.
	azureName = regexp.MustCompile(`^[a-z0-9]{5,50}(?:-[a-z0-9]{1,20})?$`)
)

func isAmazon(host string) bool {
	m := amazonHost.FindStringSubmatch(host)
	return m != nil && (m[1] != "") == chinaRegion.MatchString(host)
}

func isGoogle(host string) bool { return googleHost.MatchString(host) }
