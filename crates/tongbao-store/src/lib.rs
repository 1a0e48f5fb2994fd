//! The store port over SQLite, PostgreSQL and MySQL, and in memory.
