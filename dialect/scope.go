package dialect

// Scoper is a Dialect that knows what a document that does not compile would
// have been about. Of a dialect that is none, each document of its Kinds would
// have been about all images of its scope.
type Scoper interface {
	Dialect
	// Scope looks at a document that Policies refused. It must return the zero
	// Scope when in doubt.
	Scope(Document) Scope
}

// Scope is which images a document is about that does not compile. The zero
// Scope is all images of the cluster, or of the document's namespace.
type Scope struct {
	// OtherMatter says that the document asks for nothing that concerns images: it
	// is for others, and nothing is wrong with it.
	OtherMatter bool
	// OnlyReferred says that the document is of a kind that decides nothing itself:
	// others refer to it.
	OnlyReferred bool
	// ByName, if set, is the name by which callers choose the document's policies,
	// which decide no other request.
	ByName string
}

// ScopeOf returns the Scope of a document that the dialect refused.
func ScopeOf(d Dialect, document Document) Scope {
	if scoper, is := d.(Scoper); is {
		return scoper.Scope(document)
	}
	return Scope{}
}
