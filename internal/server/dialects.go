package server

import "roster/internal/dialect"

// doors are the dialects that the server speaks.
var doors = []func(dialect.Deps) dialect.Door{}
