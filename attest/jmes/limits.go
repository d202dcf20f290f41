package jmes

// Bounds of what a policy may hold. They are generous beside the policies in
// use, whose conditions have a handful of tests of some hundred bytes.
const (
	maxTests      = 256     // in all blocks of one condition
	maxBlocks     = 64      // of one condition
	maxValues     = 16384   // scalars, lists and objects in all keys, values and contexts
	maxText       = 1 << 16 // bytes of one text with variables
	maxContext    = 1 << 20 // bytes of one text of a context: what a ConfigMap can hold
	maxExpression = 1 << 13 // bytes of one JMESPath expression; also bounds how deep it nests
	maxNesting    = 64      // of lists and objects in keys, values and contexts
	maxVariables  = 8       // levels of a variable inside another
	maxPattern    = 1 << 10 // bytes of one regular expression
	maxProgram    = 1 << 12 // instructions of one regular expression, repetitions written out

	// Of all expressions together: some microseconds and hundred bytes of memory
	// are spent on each byte, and some hundred nanoseconds and 50 bytes on each
	// instruction.
	maxExpressions = 8 * maxExpression
	maxPrograms    = 4 * maxProgram
	// maxPath bounds the names that are kept of a path: what is asked of paths is
	// how they begin.
	maxPath = 16
)

// Bounds of one evaluation: of all tests of a condition on one statement.
const (
	// maxSteps bounds visits of values. An inventory of 50 000 components, as of
	// the largest images, takes about ten each; two million take less than half a
	// second, whatever they are spent on. JMESPath has no loops, but `[@,@][]|[@,@][]|…` doubles its result
	// every ten bytes.
	maxSteps = 2_000_000
	// maxProduced bounds the bytes of texts that functions make, so that nested
	// joins and replacements do not multiply a document.
	maxProduced = 16 << 20
	// maxDocument bounds texts that are parsed as YAML, certificates or image
	// names: each parse costs far more than a step.
	maxDocument = 1 << 18
	// maxNodes bounds what a YAML text expands to through its aliases.
	maxNodes = 1 << 16
	// maxShown bounds what messages repeat of keys and expressions.
	maxShown = 300
)
