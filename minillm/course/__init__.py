"""The course machinery: lessons are built from masters, exercises are loaded, checked and reported."""
