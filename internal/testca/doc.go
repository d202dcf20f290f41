// Package testca is a Sigstore of tests' own: a trusted root and what it
// trusts, all in process, and ways to make everything wrong. It has
// transparency logs of Rekor v1 and v2, Fulcio with its certificate log, a
// timestamp authority, and a TUF repository that publishes the root. All of
// them act at times that the caller chooses.
//
// What they sign is written here from the documented formats, without
// Sigstore's own builders, so that a verifier that uses Sigstore's code is not
// tested against the same code. Only tests import the package.
//
// A keyless signature is made of a certificate, which signs, and of what
// testifies to it:
//
//	s := testca.New(t, testca.Options{Whole: true})
//	c := s.Issue(t, testca.GitHub("acme/app", "release.yml", "refs/heads/main"))
//	registry.SignCosign(ctx, image, c.Key, c.Cosign(fixture.CosignOptions{
//		Annotate: testca.Testify(s.Annotate(testca.EntryOptions{}), s.AnnotateTimestamp(testca.TimestampOptions{})),
//	}))
//	registry.SignBundle(ctx, image, c.Key, c.Bundle(fixture.BundleOptions{
//		LogEntries: s.LogEntries(testca.EntryOptions{Rekor2: true}), Timestamps: s.Timestamps(),
//	}))
package testca
