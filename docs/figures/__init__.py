"""The figures, drawn from the configs as inline SVG, so that they follow the page's light and dark colours."""
