"""The anatomy prior: what annotated patients say of another one, by registration."""
